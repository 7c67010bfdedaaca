#include "scheduling/config.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "scheduling/scheduler.h"

namespace llmd::scheduling {
namespace {

std::vector<std::string> plugin_names(const SchedulingConfig& config) {
  std::vector<std::string> names;
  for (const PluginInstance& each : config.plugins) names.push_back(each.name);
  return names;
}

std::vector<std::pair<std::string, double>> refs_of(const ProfileConfig& profile) {
  std::vector<std::pair<std::string, double>> refs;
  for (const PluginRef& ref : profile.plugins) refs.emplace_back(ref.plugin, ref.weight);
  return refs;
}

TEST(ApplyDefaults, GivesAnEmptyConfigLlmdsThreeScorers) {
  SchedulingConfig config;
  apply_defaults(config);
  ASSERT_EQ(config.profiles.size(), 1U);
  EXPECT_EQ(config.profiles.front().name, "default");
  const std::vector<std::pair<std::string, double>> expected{
      {"queue-scorer", 2}, {"kv-cache-utilization-scorer", 2}, {"prefix-cache-scorer", 3}, {"max-score-picker", 1}};
  EXPECT_EQ(refs_of(config.profiles.front()), expected);
  EXPECT_TRUE(Scheduler::make(config).has_value());
}

TEST(ApplyDefaults, PutsEveryFilterScorerAndPickerIntoTheMissingProfile) {
  SchedulingConfig config{
      .plugins = {{.type = "decode-filter"}, {.name = "q", .type = "queue-scorer"}, {.type = "random-picker"}}};
  apply_defaults(config);
  ASSERT_EQ(config.profiles.size(), 1U);
  const std::vector<std::pair<std::string, double>> expected{{"decode-filter", 1}, {"q", 1}, {"random-picker", 1}};
  EXPECT_EQ(refs_of(config.profiles.front()), expected);
  EXPECT_EQ(plugin_names(config),
            (std::vector<std::string>{"decode-filter", "q", "random-picker", "single-profile-handler"}));
}

TEST(ApplyDefaults, UsesAConfiguredPickerWhereAProfileHasNone) {
  SchedulingConfig config{.plugins = {{.type = "queue-scorer"}, {.name = "dice", .type = "weighted-random-picker"}},
                          .profiles = {{.name = "p", .plugins = {{.plugin = "queue-scorer"}}}}};
  apply_defaults(config);
  EXPECT_EQ(config.profiles.front().plugins.back().plugin, "dice");
}

TEST(ApplyDefaults, AddsTheProducerThatAPrefixReaderNeeds) {
  SchedulingConfig config{.plugins = {{.type = "prefix-cache-scorer"}}};
  apply_defaults(config);
  EXPECT_EQ(plugin_names(config).back(), "approx-prefix-cache-producer");
  SchedulingConfig without{.plugins = {{.type = "queue-scorer"}}};
  apply_defaults(without);
  EXPECT_NE(plugin_names(without).back(), "approx-prefix-cache-producer");
}

TEST(ApplyDefaults, AddsThePrefixProducerBesideOtherProducers) {
  for (const std::string type : {"latency-scorer", "no-hit-lru-scorer", "prefix-cache-scorer"}) {
    SchedulingConfig config{.plugins = {{.type = type}, {.type = "session-id-producer"}}};
    apply_defaults(config);
    EXPECT_EQ(plugin_names(config).back(), "approx-prefix-cache-producer") << type;
  }
}

TEST(ApplyDefaults, ChangesNothingTheSecondTime) {
  SchedulingConfig config;
  apply_defaults(config);
  const std::vector<std::string> once = plugin_names(config);
  apply_defaults(config);
  EXPECT_EQ(plugin_names(config), once);
}

TEST(SchedulerMake, RefusesWhatLlmdRefuses) {
  const PluginInstance queue{.type = "queue-scorer"};
  const struct {
    std::string name;
    SchedulingConfig config;
    std::string what;
  } cases[] = {
      {"unknown type", {.plugins = {{.type = "queue-score"}}}, "plugin type \"queue-score\" is not known"},
      {"duplicate name", {.plugins = {queue, queue}}, "two plugins are named \"queue-scorer\""},
      {"undefined ref",
       {.plugins = {queue}, .profiles = {{.name = "p", .plugins = {{.plugin = "kv"}}}}},
       "profile \"p\" names plugin \"kv\", which is not configured"},
      {"empty profile name", {.plugins = {queue}, .profiles = {{.name = ""}}}, "a scheduling profile has no name"},
      {"duplicate profile",
       {.plugins = {queue, {.type = "disagg-profile-handler"}}, .profiles = {{.name = "decode"}, {.name = "decode"}}},
       "two scheduling profiles are named \"decode\""},
      {"two profiles without handler",
       {.plugins = {queue}, .profiles = {{.name = "a"}, {.name = "b"}}},
       "2 scheduling profiles and no profile handler"},
      {"single handler with two",
       {.plugins = {queue, {.type = "single-profile-handler"}}, .profiles = {{.name = "a"}, {.name = "b"}}},
       "single-profile-handler with 2 scheduling profiles; expected 1"},
      {"two handlers",
       {.plugins = {{.type = "single-profile-handler"}, {.type = "disagg-profile-handler"}},
        .profiles = {{.name = "decode"}}},
       "two profile handlers are configured, \"disagg-profile-handler\" and \"single-profile-handler\""},
      {"two pickers",
       {.plugins = {{.type = "random-picker"}, {.type = "max-score-picker"}}},
       "profile \"default\" has two pickers, \"random-picker\" and \"max-score-picker\""},
      {"no decode profile",
       {.plugins = {{.type = "disagg-profile-handler"}}, .profiles = {{.name = "p"}}},
       "disagg-profile-handler: there is no profile \"decode\" for decode"},
      {"endless weight",
       {.plugins = {queue}, .profiles = {{.name = "p", .plugins = {{.plugin = "queue-scorer", .weight = 1.0 / 0.0}}}}},
       "profile \"p\": the weight of \"queue-scorer\" is not a finite number"},
  };
  for (const auto& c : cases) {
    const Result<Scheduler> made = Scheduler::make(c.config);
    ASSERT_FALSE(made.has_value()) << c.name;
    EXPECT_EQ(made.error().code, ErrorCode::kConfigInvalid) << c.name;
    EXPECT_EQ(made.error().what, c.what) << c.name;
  }
}

TEST(SchedulerMake, RefusesADeciderWherePrefillAlwaysRuns) {
  PluginInstance handler{.type = "disagg-profile-handler"};
  handler.parameters.set("stageOrder", std::string{"prefill-first"});
  handler.parameters.set("deciders.prefill", std::string{"always-disagg-pd-decider"});
  const auto made = Scheduler::make({.plugins = {handler, {.type = "always-disagg-pd-decider"}},
                                     .profiles = {{.name = "prefill"}, {.name = "decode"}}});
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().what,
            "disagg-profile-handler: deciders.prefill is \"always-disagg-pd-decider\" with stageOrder prefill-first");
}

TEST(PrefixOptions, FollowLlmdsDefaultsAndItsFloorOf64Tokens) {
  PluginInstance producer{.type = "approx-prefix-cache-producer"};
  producer.parameters.set("blockSizeTokens", std::int64_t{16});
  const auto made = Scheduler::make({.plugins = {{.type = "prefix-cache-scorer"}, producer}});
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->prefix_options().block_tokens, 64U);
  EXPECT_EQ(made->prefix_options().endpoint_blocks_max, 31'250U);
  EXPECT_EQ(effective_blocks_max(made->prefix_options(), 64), 2'048U);

  EndpointSnapshot snapshot;
  snapshot.endpoints.resize(2);
  EXPECT_EQ(effective_block_tokens(made->prefix_options(), snapshot), 64U);
  snapshot.endpoints[1].kv_block_tokens.value = 128;
  EXPECT_EQ(effective_block_tokens(made->prefix_options(), snapshot), 128U);
  snapshot.endpoints[0].kv_block_tokens.value = 16;
  EXPECT_EQ(effective_block_tokens(made->prefix_options(), snapshot), 64U);
}

}  // namespace
}  // namespace llmd::scheduling
