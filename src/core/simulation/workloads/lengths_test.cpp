#include "simulation/workloads/lengths.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace llmd::simulation {
namespace {

TEST(LogNormal, HasItsMedianAndStaysInItsBounds) {
  const LogNormal tokens{.median = 500, .sigma = 1, .min = 50, .max = 4'000};
  Rng rng{1};
  std::vector<std::uint32_t> drawn(20'001);
  for (std::uint32_t& value : drawn) value = draw_tokens(tokens, rng);
  std::ranges::sort(drawn);
  EXPECT_NEAR(drawn[drawn.size() / 2], 500, 25);
  EXPECT_EQ(drawn.front(), 50U);
  EXPECT_EQ(drawn.back(), 4'000U);
}

TEST(LogNormal, WithoutSpreadIsItsMedian) {
  Rng rng{1};
  const LogNormal same{.median = 7, .sigma = 0, .min = 0, .max = 100};
  for (int i = 0; i < 100; ++i) EXPECT_EQ(draw_tokens(same, rng), 7U);
}

TEST(DrawTokens, GivesALengthWhateverTheOptions) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInf = std::numeric_limits<double>::infinity();
  struct Case {
    const char* name;
    LogNormal options;
    std::uint32_t expected;
  };
  const Case cases[] = {
      {"nothing given", {}, 1},
      {"negative", {.median = -5, .min = -10, .max = 100}, 1},
      {"bounds the wrong way round", {.median = 10, .min = 50, .max = 20}, 50},
      {"too long", {.median = 1e12, .max = kInf}, kTextTokensMax},
      {"no number", {.median = kNan, .min = 3, .max = 9}, 3},
      {"no numbers at all", {.median = kNan, .sigma = kNan, .min = kNan, .max = kNan}, 1},
  };
  for (const Case& test : cases) {
    Rng rng{1};
    EXPECT_EQ(draw_tokens(test.options, rng), test.expected) << test.name;
  }
}

TEST(FromSeconds, IsBounded) {
  EXPECT_EQ(from_seconds(1.5), milliseconds{1'500});
  EXPECT_EQ(from_seconds(-1), Duration{});
  EXPECT_EQ(from_seconds(std::nan("")), Duration{});
  EXPECT_EQ(from_seconds(1e300), from_seconds(1e200));
  EXPECT_GT(from_seconds(1e300), std::chrono::hours{24 * 365 * 99});
}

}  // namespace
}  // namespace llmd::simulation
