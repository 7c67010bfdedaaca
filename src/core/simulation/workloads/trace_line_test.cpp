#include "simulation/workloads/trace_line.h"

#include <gtest/gtest.h>

#include <string_view>

namespace llmd::simulation {
namespace {

TEST(TraceLine, GivesAStringAsItIsWritten) {
  TraceLine line{R"( "a\"b\\" "" "c")"};
  EXPECT_EQ(*line.raw_string(6), R"(a\"b\\)");
  EXPECT_EQ(*line.raw_string(0), "");
  EXPECT_EQ(*line.raw_string(9), "c");
  EXPECT_TRUE(line.expect_end());
}

TEST(TraceLine, BoundsStrings) {
  struct Case {
    std::string_view text;
    std::string_view expected;
  };
  const Case cases[] = {
      {"", "column 1: expected a string; found: the end"},
      {"7", "column 1: expected a string; found: 7"},
      {"\"", "column 1: expected a string of at most 3 bytes"},
      {"\"abc", "column 1: expected a string of at most 3 bytes"},
      {"\"abcd\"", "column 1: expected a string of at most 3 bytes"},
      {R"("ab\")", "column 1: expected a string of at most 3 bytes"},
      {R"("ab\)", "column 1: expected a string of at most 3 bytes"},
  };
  for (const Case& each : cases) {
    TraceLine line{each.text};
    const auto read = line.raw_string(3);
    ASSERT_FALSE(read) << each.text;
    EXPECT_TRUE(read.error().what.starts_with(each.expected)) << each.text << ": " << read.error().what;
  }
  TraceLine fits{"\"abc\""};
  EXPECT_EQ(*fits.raw_string(3), "abc");
}

}  // namespace
}  // namespace llmd::simulation
