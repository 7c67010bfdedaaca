#include "reporting/attribute_reporter.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "reporting/served_endpoint.h"

namespace llmd::reporting {
namespace {

constexpr std::string_view kGuardedSum =
    "(has(usage.prompt_tokens) ? usage.prompt_tokens : 0) + (has(usage.completion_tokens) ? usage.completion_tokens : "
    "0)";

std::string outcome(std::string_view expression, std::string_view condition, const Usage& usage) {
  const auto reporter = AttributeReporter::make(
      {.name = "cost", .expression = std::string{expression}, .condition = std::string{condition}});
  if (!reporter) return reporter.error().to_string();
  const auto value = reporter->value(usage);
  if (!value) return std::string{evaluation_error_text(value.error())};
  return *value ? fmt::format("{}", **value) : "nothing";
}

// The first eight are what llm-d's own tests claim of its plugin.
TEST(AttributeReporter, ComputesWhatLlmdComputes) {
  const struct {
    std::string_view name, expression, condition;
    Usage usage;
    std::string_view value;
  } cases[] = {
      {"a field", "usage.prompt_tokens", "", {.prompt_tokens = 15}, "15"},
      {"zero", "usage.prompt_tokens", "has(usage.prompt_tokens)", {}, "nothing"},
      {"condition", "usage.prompt_tokens", "usage.completion_tokens > 0", {.prompt_tokens = 10}, "nothing"},
      {"no such field", "usage.non_existent_field", "", {.prompt_tokens = 10}, "no such field"},
      {"guards, nothing there", kGuardedSum, "", {}, "nothing"},
      {"guards, one there", kGuardedSum, "", {.completion_tokens = 25}, "25"},
      {"the example of its page",
       "usage.prompt_tokens + usage.completion_tokens\n",
       "has(usage.prompt_tokens) && has(usage.completion_tokens)",
       {.prompt_tokens = 32, .completion_tokens = 10},
       "42"},
      {"its integration test", "usage.completion_tokens", "", {.completion_tokens = 10, .total_tokens = 42}, "10"},
      {"doubles are cut",
       "usage.prompt_tokens * 0.75 + usage.completion_tokens * 1.5",
       "",
       {.prompt_tokens = 3, .completion_tokens = 3},
       "6"},
      {"also below zero", "usage.prompt_tokens * -0.75", "", {.prompt_tokens = 3}, "-2"},
      {"a ratio",
       "usage.completion_tokens / usage.prompt_tokens * 100.0",
       "",
       {.prompt_tokens = 8, .completion_tokens = 1},
       "12"},
      {"ints, which fail with llm-d",
       "usage.prompt_tokens + 4 * usage.completion_tokens",
       "",
       {.prompt_tokens = 3, .completion_tokens = 3},
       "15"},
      {"what is cached",
       "usage.prompt_tokens - usage.prompt_tokens_details.cached_tokens",
       "has(usage.prompt_tokens_details)",
       {.prompt_tokens = 100, .cached_tokens = 64},
       "36"},
      {"no details", "usage.prompt_tokens_details.cached_tokens", "has(usage.prompt_tokens_details)", {}, "nothing"},
      {"infinite", "usage.total_tokens / usage.prompt_tokens", "", {.total_tokens = 1}, "beyond 64 bits"},
      {"not a number", "usage.total_tokens / usage.prompt_tokens", "", {}, "beyond 64 bits"},
      {"a uint", "7u", "", {}, "7"},
      {"too large a uint", "18446744073709551615u", "", {}, "beyond 64 bits"},
      {"an error of the condition", "1", "usage.x > 1", {}, "no such field"},
      {"the largest count",
       "usage.prompt_tokens",
       "",
       {.prompt_tokens = std::numeric_limits<std::uint64_t>::max()},
       "9223372036854775807"},
  };
  for (const auto& each : cases)
    EXPECT_EQ(outcome(each.expression, each.condition, each.usage), each.value) << each.name;
}

TEST(AttributeReporter, RefusesWhatCannotWorkAndNamesTheField) {
  const struct {
    AttributeSpec spec;
    std::string_view param, what;
  } cases[] = {
      {{.expression = "1"}, "key.name", "is empty"},
      {{.name = "n"}, "expression", "is empty"},
      {{.name = "n", .expression = "usage.prompt_tokens + -"}, "expression", "1:24: the text ends; expected a value"},
      {{.name = "n", .expression = "1", .condition = "usage.prompt_tokens > "},
       "condition",
       "1:23: the text ends; expected a value"},
      {{.name = "n", .expression = "'text'"}, "expression", "1:1: is of type string; expected a number"},
      {{.name = "n", .expression = "1 > 0"}, "expression", "1:1: is of type bool; expected a number"},
      {{.name = "n", .expression = "1", .condition = "usage.prompt_tokens"},
       "condition",
       "1:1: is of type number; expected bool"},
      {{.name = "n", .expression = "request.size"}, "expression", "1:1: \"request\" is not known here"},
  };
  for (const auto& each : cases) {
    const auto reporter = AttributeReporter::make(each.spec);
    ASSERT_FALSE(reporter.has_value()) << each.what;
    EXPECT_EQ(reporter.error().code, ErrorCode::kConfigInvalid);
    EXPECT_EQ(reporter.error().param, each.param);
    EXPECT_EQ(reporter.error().what, each.what);
  }
}

TEST(AttributeReporter, TellsTheFieldsThatNobodyReports) {
  const auto reporter = AttributeReporter::make(
      {.name = "n", .expression = "usage.prompt_token", .condition = "has(usage.audio) && usage.prompt_token > 1"});
  ASSERT_TRUE(reporter.has_value());
  EXPECT_EQ(reporter->unknown_fields(), (std::vector<std::string>{"usage.prompt_token", "usage.audio"}));
}

TEST(AttributeReporter, ReportsAllThatHaveAValueAndCountsErrors) {
  std::vector<AttributeReporter> reporters;
  for (const auto& [name_space, name, expression] : {std::tuple{"", "cost", "usage.prompt_tokens"},
                                                     {"", "fails", "usage.x"},
                                                     {"", "zero", "usage.total_tokens"},
                                                     {"billing", "cost", "2"},
                                                     {"envoy.lb", "cost", "usage.prompt_tokens * 3"}}) {
    reporters.push_back(
        AttributeReporter::make({.name_space = name_space, .name = name, .expression = expression}).value());
  }
  std::uint64_t failed = 0;
  EXPECT_EQ(report(reporters, {.prompt_tokens = 5}, &failed),
            (std::vector<ReportedValue>{{"envoy.lb", "cost", 15}, {"billing", "cost", 2}}));
  EXPECT_EQ(failed, 1U);
  EXPECT_TRUE(report({}, {}).empty());
}

TEST(ServedEndpoint, TellsTheEndpointOrWhatIsMissing) {
  EXPECT_EQ(served_endpoint_report({}), "fail: missing envoy lb metadata");
  EXPECT_EQ(served_endpoint_report({.has_namespace = true}), "fail: missing destination endpoint served metadata");
  EXPECT_EQ(served_endpoint_report({.has_namespace = true, .endpoint = "10.0.0.1:8000"}), "10.0.0.1:8000");
}

}  // namespace
}  // namespace llmd::reporting
