#include "scheduling/filters/label_selector.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace llmd::scheduling {
namespace {

using Operator = LabelRequirement::Operator;

TEST(ParseLabelSelector, ReadsWhatKubectlWrites) {
  const auto parsed = parse_label_selector(" a=b, app.kubernetes.io/name == c ,d!=e,f in (g, h,),i notin(j) , k, !l");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().to_string();
  EXPECT_EQ(*parsed, (std::vector<LabelRequirement>{{"a", Operator::kIn, {"b"}},
                                                    {"app.kubernetes.io/name", Operator::kIn, {"c"}},
                                                    {"d", Operator::kNotIn, {"e"}},
                                                    {"f", Operator::kIn, {"g", "h", ""}},
                                                    {"i", Operator::kNotIn, {"j"}},
                                                    {"k", Operator::kExists, {}},
                                                    {"l", Operator::kDoesNotExist, {}}}));
  EXPECT_EQ(parse_label_selector("in=x").value().front().key, "in");
  EXPECT_EQ(parse_label_selector("a=").value().front().values, (std::vector<std::string>{""}));
  EXPECT_TRUE(parse_label_selector("  ").value().empty());
}

TEST(ParseLabelSelector, RefusesTheRest) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"not a selector!!", "\"a selector!!\" is unexpected; expected =, !=, in, notin or ,"},
      {"a=b,", "\"\" is unexpected; expected a label"},
      {",a", "\",a\" is unexpected; expected a label"},
      {"=b", "\"=b\" is unexpected; expected a label"},
      {"a=b c", "\"c\" is unexpected; expected ,"},
      {"a in b", "\"b\" is unexpected; expected ( and values"},
      {"a in (b", "\"\" is unexpected; expected , or )"},
      {"a > 5", "\"> 5\" is unexpected; expected =, !=, in, notin or ,"},
      {"-a=b", "\"-a\" is not a label's name"},
      {"a=b?", "\"b?\" is not a label's value"},
  };
  for (const auto& [text, what] : cases) {
    const auto parsed = parse_label_selector(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::kConfigInvalid);
    EXPECT_EQ(parsed.error().what, what) << text;
  }
}

TEST(LabelRequirement, HoldsAsKubernetesSaysOfAbsentLabels) {
  const Endpoint endpoint{.name = "e", .url = "", .models = {}, .labels = {{"a", "1"}, {"empty", ""}}};
  const std::pair<std::string_view, bool> cases[] = {
      {"a=1", true},     {"a=2", false},       {"b=1", false},   {"a!=2", true},        {"b!=1", true},
      {"a!=1", false},   {"a", true},          {"empty", true},  {"b", false},          {"!b", true},
      {"!a", false},     {"a in (1,2)", true}, {"empty=", true}, {"b notin (1)", true}, {"a notin (1)", false},
      {"b in ()", false}};
  for (const auto& [text, holds] : cases) {
    EXPECT_EQ(parse_label_selector(text).value().front().holds(endpoint), holds) << text;
  }
}

}  // namespace
}  // namespace llmd::scheduling
