#include "simulation/policies/llmd_policy.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "simulation/policies/testing/scene.h"

namespace llmd::simulation {
namespace {

using testing::Scene;

std::unique_ptr<LlmdPolicy> make(scheduling::SchedulingConfig config = {}) {
  auto made = LlmdPolicy::make(std::move(config), {.seed = 7});
  return made ? std::move(*made) : nullptr;
}

/// As the last scrape saw it.
void set_metrics(Scene& scene, std::uint32_t place, std::uint32_t waiting, float kv_usage) {
  scene.snapshot.endpoints[place].waiting_requests = {waiting, scene.now};
  scene.snapshot.endpoints[place].kv_usage = {kv_usage, scene.now};
}

TEST(LlmdPolicy, IsLlmdsDefaultWithoutAConfiguration) {
  const auto policy = make();
  ASSERT_NE(policy, nullptr);
  const auto& config = policy->scheduler().config();
  std::vector<std::pair<std::string, double>> scorers;
  for (const auto& plugin : config.profiles.at(0).plugins) {
    if (plugin.plugin.ends_with("scorer")) scorers.emplace_back(plugin.plugin, plugin.weight);
  }
  EXPECT_EQ(scorers, (std::vector<std::pair<std::string, double>>{
                         {"queue-scorer", 2}, {"kv-cache-utilization-scorer", 2}, {"prefix-cache-scorer", 3}}));
}

TEST(LlmdPolicy, RefusesAConfigurationThatTheSchedulerRefuses) {
  scheduling::SchedulingConfig config;
  config.plugins.push_back({.type = "no-such-plugin"});
  const auto made = LlmdPolicy::make(std::move(config), {});
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code, ErrorCode::kConfigInvalid);
}

TEST(LlmdPolicy, DecidesAsTheSchedulerAlone) {
  const auto policy = make();
  Scene scene{8};
  for (std::uint32_t place = 0; place < 8; ++place)
    set_metrics(scene, place, place * 3 % 8, 0.1F * static_cast<float>(place));
  auto scheduler = scheduling::Scheduler::make({});
  ASSERT_TRUE(scheduler.has_value());
  Budget budget{"test", 1U << 20};
  PrefixIndex index{{.seed = 7}, budget};
  const auto memory = scheduler->make_memory(nullptr, 7);
  scheduling::DecisionScratch scratch;
  Rng rng{1};
  for (std::uint64_t i = 0; i < 200; ++i) {
    scene.prompt({1 + i % 5, 100 + i % 5, 1'000 + i});
    const auto decision = scheduler->decide({.request = scene.request,
                                             .snapshot = scene.snapshot,
                                             .index = index,
                                             .now = scene.now,
                                             .live = scene.live,
                                             .memory = &memory},
                                            rng, scratch, nullptr);
    scheduling::remember(decision, scene.request.prefix, index, scene.now);
    scheduler->sent(scene.request, decision, scene.now, memory);
    const std::uint32_t place = scene.send(*policy);
    ASSERT_EQ(scene.snapshot.endpoints[place].endpoint, decision.decode) << "request " << i;
  }
}

TEST(LlmdPolicy, FollowsThePrefixUntilTheEndpointIsLost) {
  const auto policy = make();
  Scene scene{8};
  scene.prompt({1, 2, 3, 4});
  const std::uint32_t home = scene.send(*policy);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(scene.choose(*policy), home);
  EXPECT_EQ(policy->index_stats().endpoints, 1U);
  policy->endpoint_lost(home);
  policy->endpoint_lost(99);
  EXPECT_EQ(policy->index_stats().entries, 0U);
}

TEST(LlmdPolicy, RemembersWhereTheRequestWentNotWhatWasDecidedLast) {
  const auto policy = make();
  Scene first{4};
  first.prompt({1, 2, 3});
  const PolicyChoice choice = policy->choose(first.input());
  Scene second{4};
  second.snapshot = first.snapshot;
  second.request.request_id = fmt::format("other");
  second.prompt({7, 8, 9});
  (void)policy->choose(second.input());
  const PolicyChoice elsewhere{.decode = (choice.decode + 1) % 4};
  policy->sent(first.input(), elsewhere);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(first.choose(*policy), elsewhere.decode);
}

TEST(LlmdPolicy, FindsPlacesAfterTheFleetChanged) {
  const auto policy = make();
  Scene scene{3};
  scene.prompt({1, 2, 3});
  const std::uint32_t home = scene.send(*policy);
  // The same endpoint objects in another order.
  std::swap(scene.snapshot.endpoints[home], scene.snapshot.endpoints[(home + 1) % 3]);
  ++scene.snapshot.version;
  EXPECT_EQ(scene.choose(*policy), (home + 1) % 3);
}

TEST(LlmdPolicy, KnowsWhatEventsTold) {
  auto made = LlmdPolicy::make({}, {.precise = true});
  ASSERT_TRUE(made.has_value());
  LlmdPolicy& policy = **made;
  EXPECT_TRUE(policy.wants_block_events());
  Scene scene{4};
  scene.prompt({1, 2, 3});
  for (const std::uint64_t block : {1, 2, 3}) policy.block_stored(2, block);
  for (int i = 0; i < 20; ++i) {
    const PolicyChoice choice = policy.choose(scene.input());
    EXPECT_EQ(choice.decode, 2U);
    EXPECT_EQ(choice.cached_tokens, 3 * testing::kBlockTokens);
  }
  for (const std::uint64_t block : {1, 2, 3}) policy.block_removed(2, block);
  policy.block_stored(0, 1);
  EXPECT_EQ(scene.choose(policy), 0U);
  policy.endpoint_lost(0);
  EXPECT_EQ(policy.choose(scene.input()).cached_tokens, 0U);
  (void)scene.send(policy);
  EXPECT_EQ(policy.choose(scene.input()).cached_tokens, 0U) << "what was sent is no event";
}

TEST(LlmdPolicy, NamesThePrefillPlaceToo) {
  scheduling::SchedulingConfig config;
  for (const char* type : {"disagg-profile-handler", "prefill-filter", "decode-filter", "always-disagg-pd-decider",
                           "queue-scorer", "max-score-picker"})
    config.plugins.push_back({.type = type});
  config.plugins[0].parameters.set("deciders.prefill", std::string{"always-disagg-pd-decider"});
  config.profiles = {{.name = "prefill", .plugins = {{"prefill-filter"}, {"queue-scorer"}, {"max-score-picker"}}},
                     {.name = "decode", .plugins = {{"decode-filter"}, {"queue-scorer"}, {"max-score-picker"}}}};
  auto made = LlmdPolicy::make(std::move(config), {});
  ASSERT_TRUE(made.has_value()) << made.error().to_string();
  Scene scene{2};
  for (const std::uint32_t place : {0U, 1U}) {
    auto endpoint = std::make_shared<Endpoint>(*scene.snapshot.endpoints[place].endpoint);
    endpoint->labels.emplace(kRoleLabel, place == 0 ? "prefill" : "decode");
    scene.snapshot.endpoints[place].endpoint = std::move(endpoint);
  }
  scene.prompt({1, 2, 3});
  const PolicyChoice choice = (*made)->choose(scene.input());
  EXPECT_EQ(choice.decode, 1U);
  EXPECT_EQ(choice.prefill, 0U);
  (*made)->sent(scene.input(), choice);
  EXPECT_EQ((*made)->index_stats().endpoints, 2U);
}

}  // namespace
}  // namespace llmd::simulation
