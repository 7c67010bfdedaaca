#include "apps/config_tool/line_diff.h"

#include <gtest/gtest.h>

namespace llmd::config {
namespace {

TEST(LineDiff, IsEmptyForEqualTexts) { EXPECT_EQ(line_diff("a\nb\n", "a\nb\n"), ""); }

TEST(LineDiff, MarksWhatWentAndWhatCame) {
  EXPECT_EQ(line_diff("a\nb\nc\n", "a\nB\nc\nd\n"), " a\n-b\n+B\n c\n+d\n");
  EXPECT_EQ(line_diff("", "a\n"), "+a\n");
  EXPECT_EQ(line_diff("a", ""), "-a\n");
}

TEST(LineDiff, LeavesOutWhatIsFarFromAChange) {
  EXPECT_EQ(line_diff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nX\n6\n7\n8\n9\n"),
            "...\n 2\n 3\n 4\n-5\n+X\n 6\n 7\n 8\n...\n");
}

TEST(LineDiff, AppliesToTheTextAfter) {
  // What is not '-' is the text after, if nothing is left out.
  const std::string before = "a\nb\nc\nd\n";
  const std::string after = "b\nx\nd\ne\n";
  std::string rebuilt;
  std::string_view diff;
  const std::string whole = line_diff(before, after);
  diff = whole;
  while (!diff.empty()) {
    const std::size_t end = diff.find('\n');
    if (diff.front() != '-') rebuilt += std::string{diff.substr(1, end)};
    diff.remove_prefix(end + 1);
  }
  EXPECT_EQ(rebuilt, after);
}

}  // namespace
}  // namespace llmd::config
