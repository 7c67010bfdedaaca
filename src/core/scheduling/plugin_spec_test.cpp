#include "scheduling/plugin_spec.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "scheduling/nearest_name.h"

namespace llmd::scheduling {
namespace {

TEST(PluginSpecs, HaveOneTypeEachAndDefaultsInsideTheirRanges) {
  std::set<std::string_view> types;
  for (const PluginSpec* spec : plugin_specs()) {
    EXPECT_TRUE(types.insert(spec->type).second) << spec->type;
    EXPECT_EQ(find_plugin_spec(spec->type), spec);
    EXPECT_FALSE(spec->help.empty()) << spec->type;
    for (const ParameterSpec& parameter : spec->parameters) {
      EXPECT_FALSE(parameter.help.empty()) << spec->type << " " << parameter.name;
      if (parameter.type == ParameterType::kInteger || parameter.type == ParameterType::kNumber) {
        EXPECT_TRUE(check_parameter(spec->type, parameter, parameter.number).has_value() ||
                    parameter.type == ParameterType::kInteger);
        EXPECT_GE(parameter.number, parameter.min) << spec->type << " " << parameter.name;
        EXPECT_LE(parameter.number, parameter.max) << spec->type << " " << parameter.name;
      }
    }
  }
}

TEST(PluginSpecs, KnowNoOtherType) { EXPECT_EQ(find_plugin_spec("queue_scorer"), nullptr); }

TEST(CheckParameter, NamesWhatIsWrongAndWhatWasExpected) {
  const struct {
    std::string name;
    std::string type;
    std::string parameter;
    ParameterValue value;
    std::string what;
    std::string hint;
  } cases[] = {
      {"unknown", "prefix-based-pd-decider", "nonCachedToken", std::int64_t{1},
       "prefix-based-pd-decider has no parameter \"nonCachedToken\"", "did you mean nonCachedTokens?"},
      {"no parameters at all", "queue-scorer", "threshold", std::int64_t{1},
       "queue-scorer has no parameter \"threshold\"", "none is known here"},
      {"type", "max-score-picker", "maxNumOfEndpoints", std::string{"two"},
       "max-score-picker: maxNumOfEndpoints is \"two\"; expected a whole number",
       "parameters and defaults: docs/plugins.md"},
      {"fraction for a whole number", "prefix-based-pd-decider", "promptTokens", 1.5,
       "prefix-based-pd-decider: promptTokens is 1.5; expected a whole number",
       "parameters and defaults: docs/plugins.md"},
      {"range", "prefix-cache-scorer", "matchLengthWeight", 1.5,
       "prefix-cache-scorer: matchLengthWeight is 1.5; expected a number from 0 to 1",
       "parameters and defaults: docs/plugins.md"},
      {"choice", "disagg-profile-handler", "stageOrder", std::string{"decode"},
       "disagg-profile-handler: stageOrder is \"decode\"; expected one of decode-first, prefill-first",
       "parameters and defaults: docs/plugins.md"},
  };
  for (const auto& c : cases) {
    Parameters parameters;
    parameters.set(c.parameter, c.value);
    const Result<void> checked = check_parameters(c.type, find_plugin_spec(c.type)->parameters, parameters);
    ASSERT_FALSE(checked.has_value()) << c.name;
    EXPECT_EQ(checked.error().code, ErrorCode::kConfigInvalid) << c.name;
    EXPECT_EQ(checked.error().what, c.what) << c.name;
    EXPECT_EQ(checked.error().hint, c.hint) << c.name;
  }
}

TEST(GoDuration, IsASumOfNumbersWithUnits) {
  const struct {
    std::string_view text;
    std::optional<milliseconds> expected;
  } cases[] = {{"0", milliseconds{0}},
               {"200ms", milliseconds{200}},
               {"1m30s", milliseconds{90'000}},
               {"1.5s", milliseconds{1'500}},
               {"2h", milliseconds{7'200'000}},
               {"999us", milliseconds{0}},
               {"", std::nullopt},
               {"5", std::nullopt},
               {"-1s", std::nullopt},
               {"s", std::nullopt},
               {"1 s", std::nullopt},
               {"1e3s", std::nullopt},
               {"99999999h", std::nullopt},
               {"1sx", std::nullopt}};
  for (const auto& c : cases) EXPECT_EQ(parse_go_duration(c.text), c.expected) << c.text;
}

TEST(NearestName, FindsTyposAndRefusesToGuess) {
  constexpr std::string_view known[] = {"queue-scorer", "prefix-cache-scorer"};
  EXPECT_EQ(nearest_name("queu-scorer", known), "queue-scorer");
  EXPECT_EQ(nearest_name("qqq", known), "");
  EXPECT_EQ(nearest_name(std::string(10'000, 'q'), known), "");
  EXPECT_EQ(nearest_name_hint("zzz", known), "known: queue-scorer, prefix-cache-scorer");
}

}  // namespace
}  // namespace llmd::scheduling
