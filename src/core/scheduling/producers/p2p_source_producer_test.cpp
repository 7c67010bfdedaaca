#include "scheduling/producers/p2p_source_producer.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::PluginScene;

struct SourceScene : PluginScene {
  SourceScene(const std::vector<testing::EndpointSpec>& pool, std::vector<std::uint32_t> matched) : PluginScene{pool} {
    request.prefix = {.hashes = std::vector<std::uint64_t>(10), .block_tokens = 64};
    request.prompt_tokens = 640;
    matched_blocks = std::move(matched);
  }
};

/// How often each endpoint is the source over many requests.
std::map<EndpointIndex, int> sources(SourceScene& scene, EndpointIndex computing,
                                     const P2pSourceProducer::Options& options = {}) {
  constexpr int kRequests = 10'000;
  std::map<EndpointIndex, int> counts;
  for (int i = 0; i < kRequests; ++i) {
    scene.request.request_id = "request-" + std::to_string(i);
    ++counts[choose_kv_source(scene.input(), computing, options)];
  }
  return counts;
}

TEST(ChooseKvSource, DrawsAmongThoseWithinOneBlockOfTheMost) {
  SourceScene scene({{.name = "computing"}, {.name = "most"}, {.name = "one less"}, {.name = "two less"}},
                    {0, 8, 7, 6});
  const auto counts = sources(scene, 0);
  EXPECT_EQ(counts.size(), 2U);
  EXPECT_NEAR(counts.at(1), 5'000, 250);
  EXPECT_NEAR(counts.at(2), 5'000, 250);
}

TEST(ChooseKvSource, PrefersShortQueues) {
  // Weights 1, 1/2 and 1/5; a stale queue and a missing one count as none.
  SourceScene scene({{.name = "computing"},
                     {.name = "stale", .waiting = 99, .metric_age = seconds{3}},
                     {.name = "one", .waiting = 1},
                     {.name = "four", .waiting = 4}},
                    {0, 8, 8, 8});
  const auto counts = sources(scene, 0);
  EXPECT_NEAR(counts.at(1), 10'000 / 1.7, 250);
  EXPECT_NEAR(counts.at(2), 5'000 / 1.7, 250);
  EXPECT_NEAR(counts.at(3), 2'000 / 1.7, 250);
}

TEST(ChooseKvSource, GivesTheSameRequestTheSameSource) {
  SourceScene scene({{.name = "computing"}, {.name = "a"}, {.name = "b"}}, {0, 8, 8});
  // FNV-1a of "a" is 0xe40c292c, 0.89 of 2^32; of "" 0x811c9dc5, 0.504; of "foobar" 0xbf9cf968, 0.75.
  for (const std::string id : {"a", "", "foobar"}) {
    scene.request.request_id = id;
    EXPECT_EQ(choose_kv_source(scene.input(), 0, {}), 2U) << id;
  }
  scene.matched_blocks = {0, 8, 8};
  scene.snapshot.endpoints[1].waiting_requests = {};
  scene.snapshot.endpoints[2].waiting_requests = {9, testing::kNow};  // 1 / 1.1 = 0.909 of the weight is a's
  scene.request.request_id = "a";
  EXPECT_EQ(choose_kv_source(scene.input(), 0, {}), 1U);
}

TEST(ChooseKvSource, IsNoneWithoutAGain) {
  const auto only = [](SourceScene&& scene, EndpointIndex computing, P2pSourceProducer::Options options = {}) {
    const auto counts = sources(scene, computing, options);
    return counts.size() == 1 ? counts.begin()->first : EndpointIndex{999};
  };
  const std::vector<testing::EndpointSpec> pool{{.name = "a"}, {.name = "b"}};
  EXPECT_EQ(only(SourceScene(pool, {0, 0}), 0), kNoEndpointIndex) << "nobody holds anything";
  EXPECT_EQ(only(SourceScene(pool, {}), 0), kNoEndpointIndex) << "nothing is known";
  EXPECT_EQ(only(SourceScene(pool, {8, 2}), 0), kNoEndpointIndex) << "the best is the one that computes";
  EXPECT_EQ(only(SourceScene(pool, {8, 8}), 0), kNoEndpointIndex) << "as much";
  EXPECT_EQ(only(SourceScene(pool, {2, 8}), 0), 1U);
  EXPECT_EQ(only(SourceScene(pool, {2, 8}), 0, {.tokens_more_min = 384}), 1U);
  EXPECT_EQ(only(SourceScene(pool, {2, 8}), 0, {.tokens_more_min = 385}), kNoEndpointIndex);
}

TEST(ChooseKvSource, IsNeverAnEndpointThatIsDown) {
  SourceScene scene({{.name = "computing"}, {.name = "down", .health = EndpointHealth::kDown}, {.name = "up"}},
                    {0, 9, 3});
  const auto counts = sources(scene, 0);
  EXPECT_EQ(counts.size(), 1U);
  EXPECT_EQ(counts.begin()->first, 2U);
}

TEST(P2pSourceProducer, WantsAtLeastOneTokenMore) {
  const Parameters none;
  EXPECT_EQ(P2pSourceProducer::read({P2pSourceProducer::kSpec.parameters, none}).tokens_more_min, 1U);
  const Parameters zero = testing::parameters_of({{"minCachedTokenDelta", std::int64_t{0}}});
  const auto checked = check_parameters("p2p-source-producer", P2pSourceProducer::kSpec.parameters, zero);
  ASSERT_FALSE(checked.has_value());
  EXPECT_EQ(checked.error().what,
            "p2p-source-producer: minCachedTokenDelta is 0; expected a whole number from 1 to 1000000000");
}

}  // namespace
}  // namespace llmd::scheduling
