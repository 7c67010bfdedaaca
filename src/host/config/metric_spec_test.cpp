#include "config/metric_spec.h"

#include <gtest/gtest.h>

namespace llmd::config {
namespace {

TEST(MetricSpec, ReadsNamesAndLabelsWithAndWithoutQuotes) {
  struct Case {
    const char* name;
    std::string_view text;
    MetricSpec wanted;
  };
  const Case cases[] = {
      {"nothing", "", {}},
      {"blanks", "  ", {}},
      {"a name", "vllm:num_requests_waiting", {"vllm:num_requests_waiting", {}}},
      {"a name in blanks", " a_1 ", {"a_1", {}}},
      {"no labels", "a{}", {"a", {}}},
      {"one label", "a{b=c}", {"a", {{"b", "c"}}}},
      {"quotes", "a{b=\"c d,e\"}", {"a", {{"b", "c d,e"}}}},
      {"an empty value in quotes", "a{b=\"\"}", {"a", {{"b", ""}}}},
      {"two labels with blanks", "a { b = c , d=\"e\" }", {"a", {{"b", "c"}, {"d", "e"}}}},
      {"a value with signs", "a{b=v1.2-x/y}", {"a", {{"b", "v1.2-x/y"}}}},
  };
  for (const Case& item : cases) {
    const auto spec = parse_metric_spec(item.text);
    ASSERT_TRUE(spec) << item.name << ": " << spec.error().what;
    EXPECT_EQ(*spec, item.wanted) << item.name;
  }
}

TEST(MetricSpec, RefusesWhatNamesNoSeries) {
  for (const std::string_view text :
       {"1a", "a b", "a{", "a{b}", "a{b=}", "a{b=c", "a{b=c}}", "a{b=c}d", "a{=c}", "a{b:c=d}", "a{b=\"c}",
        "a{b=\"c\"d}", "a{b=c,}", "a{,b=c}", "{b=c}", "a-b", "a{b=c d}", "a{b=c{d}"}) {
    const auto spec = parse_metric_spec(text);
    ASSERT_FALSE(spec) << text;
    EXPECT_EQ(spec.error().code, ErrorCode::kConfigInvalid) << text;
    EXPECT_NE(spec.error().what.find("names no series"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace llmd::config
