#include "config/config_versions.h"

#include <gtest/gtest.h>

namespace llmd::config {
namespace {

TEST(ConfigVersions, NumbersThemAndForgetsTheOldest) {
  ConfigVersions versions;
  for (int i = 0; i < 20; ++i) versions.add({.source = "f", .text = std::to_string(i)});
  EXPECT_EQ(versions.current().number, 20U);
  EXPECT_EQ(versions.current().text, "19");
  EXPECT_EQ(versions.list().size(), ConfigVersions::kVersionsMax);
  EXPECT_EQ(versions.list().front().number, 5U);
  EXPECT_FALSE(versions.find(4).has_value());
  ASSERT_TRUE(versions.find(5).has_value());
  EXPECT_EQ(versions.find(5)->text, "4");
  EXPECT_FALSE(versions.find(21).has_value());
}

}  // namespace
}  // namespace llmd::config
