#include "eppmetrics/bounded_label.h"

#include <gtest/gtest.h>

#include <string>

namespace llmd::eppmetrics {
namespace {

TEST(BoundedLabel, KeepsTheFirstValuesAndFoldsTheRest) {
  BoundedLabel label{2};
  EXPECT_EQ(label.bound("a"), "a");
  EXPECT_EQ(label.bound(""), "");
  EXPECT_EQ(label.bound("b"), "b");
  EXPECT_EQ(label.bound("c"), "other");
  EXPECT_EQ(label.bound("a"), "a");
  EXPECT_EQ(label.bound("b"), "b");
}

TEST(BoundedLabel, LetsPinnedValuesStandWhateverCameBefore) {
  BoundedLabel label{1};
  EXPECT_EQ(label.bound("a"), "a");
  EXPECT_EQ(label.bound("served"), "other");
  label.pin("served");
  EXPECT_EQ(label.bound("served"), "served");
  EXPECT_EQ(label.bound("b"), "other");
}

TEST(BoundedLabel, BoundsWhatIsPinned) {
  BoundedLabel label{0};
  for (std::size_t i = 0; i < BoundedLabel::kPinnedMax; ++i) label.pin(std::to_string(i));
  label.pin("one too many");
  EXPECT_EQ(label.bound("0"), "0");
  EXPECT_EQ(label.bound("one too many"), "other");
}

}  // namespace
}  // namespace llmd::eppmetrics
