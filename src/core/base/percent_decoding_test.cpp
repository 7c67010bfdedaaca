#include "base/percent_decoding.h"

#include <gtest/gtest.h>

namespace llmd {
namespace {

TEST(PercentDecoded, UndoesEscapesAndLeavesWhatIsNone) {
  struct Case {
    const char* text;
    const char* decoded;
  };
  for (const Case& test : {Case{"org%2Fmodel", "org/model"},
                           {"a%2fb", "a/b"},
                           {"", ""},
                           {"100%", "100%"},
                           {"%4", "%4"},
                           {"%zz", "%zz"},
                           {"%-1", "%-1"},
                           {"%%41", "%A"}}) {
    EXPECT_EQ(percent_decoded(test.text), test.decoded) << test.text;
  }
}

}  // namespace
}  // namespace llmd
