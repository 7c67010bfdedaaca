#include "scheduling/scorers/peer_link_scorer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/budget.h"
#include "base/rng.h"
#include "prefix/prefix_index.h"
#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::IsNan;
using testing::kNow;
using testing::made_scorer;
using testing::PluginScene;
using testing::refusal;

struct Network {
  float latency_ms = 0;
  float bandwidth_mbps = 0;
  std::optional<float> loss{};
  Duration age{};
};

LinkTable::Entry link(std::string from, std::string to, const Network& network) {
  const TimePoint at = kNow - network.age;
  return {.from = std::move(from),
          .to = std::move(to),
          .link = {.latency_ms = {network.latency_ms, at},
                   .bandwidth_mbps = {network.bandwidth_mbps, at},
                   .loss = {network.loss, at}}};
}

/// 1,000 tokens of 100,000 bytes: 100 MB go to the peer "d".
struct LinkScene : PluginScene {
  LinkScene() : PluginScene{{{.name = "p0"}, {.name = "p1"}, {.name = "p2"}, {.name = "d"}}} {
    request.prompt_tokens = 1'000;
    peer = 3;
  }
  void set_links(std::vector<LinkTable::Entry> links) {
    snapshot.links = std::make_shared<const LinkTable>(std::move(links));
  }
};

TEST(PeerLinkScorer, FallsWithTheExpectedTimeOfTheTransfer) {
  LinkScene scene;
  scene.set_links({link("p0", "d", {.latency_ms = 0, .bandwidth_mbps = 1'000}),
                   link("p1", "d", {.latency_ms = 100, .bandwidth_mbps = 500}),
                   link("p2", "d", {.latency_ms = 0, .bandwidth_mbps = 1'000, .loss = 0.5F})});
  // 0.1 s, 0.1 + 0.2 s, 0.2 s; the candidate that is the peer moves nothing.
  EXPECT_THAT(scene.scores(*made_scorer("peer-link-scorer", {{"bytesPerToken", 1e5}})),
              ElementsAre(FloatEq(0.5F), FloatEq(0.25F), FloatEq(1.0F / 3), 1.0F));
  EXPECT_THAT(scene.scores(*made_scorer("peer-link-scorer", {{"bytesPerToken", 1e5}, {"halfScoreSeconds", 0.3}})),
              ElementsAre(FloatEq(0.75F), FloatEq(0.5F), FloatEq(0.6F), 1.0F));
}

TEST(PeerLinkScorer, MovesOnlyWhatTheReceiverDoesNotHold) {
  LinkScene scene;
  scene.request.prefix = {.hashes = std::vector<std::uint64_t>(10, 1), .block_tokens = 100};
  scene.matched_blocks = {9, 0, 0, 5};
  scene.set_links({link("p0", "d", {.bandwidth_mbps = 500}), link("d", "p0", {.bandwidth_mbps = 100})});
  scene.candidates = {0};
  // To d, which lacks 500 tokens: 50 MB in 0.1 s. To p0, which lacks 100: 10 MB in 0.1 s.
  EXPECT_THAT(scene.scores(*made_scorer("peer-link-scorer", {{"bytesPerToken", 1e5}})), ElementsAre(FloatEq(0.5F)));
  EXPECT_THAT(scene.scores(*made_scorer("peer-link-scorer", {{"bytesPerToken", 1e5}, {"direction", "from-peer"}})),
              ElementsAre(FloatEq(0.5F)));
  scene.matched_blocks = {0, 0, 0, 10};
  EXPECT_THAT(scene.scores(*made_scorer("peer-link-scorer")), ElementsAre(1.0F));
}

TEST(PeerLinkScorer, HasNoDataWithoutAPeerALinkOrAnyTable) {
  LinkScene scene;
  const auto scorer = made_scorer("peer-link-scorer");
  EXPECT_THAT(scene.scores(*scorer), ElementsAre(IsNan(), IsNan(), IsNan(), 1.0F));
  scene.set_links({link("d", "p0", {.bandwidth_mbps = 1'000})});  // the other direction
  EXPECT_THAT(scene.scores(*scorer), ElementsAre(IsNan(), IsNan(), IsNan(), 1.0F));
  scene.peer = kNoEndpointIndex;
  EXPECT_THAT(scene.scores(*scorer), Each(IsNan()));
  EXPECT_TRUE(PluginScene{{}}.scores(*scorer).empty());
}

TEST(PeerLinkScorer, HasNoDataForReadingsThatAreOldIncompleteOrNoNumber) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  LinkScene scene;
  scene.set_links({link("p0", "d", {.bandwidth_mbps = 1'000, .age = seconds{61}}),
                   link("p1", "d", {.latency_ms = kNoData, .bandwidth_mbps = 1'000}),
                   link("p2", "d", {.bandwidth_mbps = kInfinity})});
  scene.candidates = {0, 1, 2};
  EXPECT_THAT(scene.scores(*made_scorer("peer-link-scorer")), Each(IsNan()));
  scene.candidates = {0};
  EXPECT_THAT(scene.scores(*made_scorer("peer-link-scorer", {{"readingAgeMax", "2m"}})), Each(::testing::Gt(0.0F)));
  LinkTable::Entry no_latency = link("p0", "d", {.bandwidth_mbps = 1'000});
  no_latency.link.latency_ms.value.reset();
  scene.set_links({no_latency});
  EXPECT_THAT(scene.scores(*made_scorer("peer-link-scorer")), Each(IsNan()));
}

TEST(PeerLinkScorer, IsZeroForALinkThatCarriesNothing) {
  LinkScene scene;
  scene.set_links({link("p0", "d", {.bandwidth_mbps = 0}), link("p1", "d", {.bandwidth_mbps = 1'000, .loss = 1.0F})});
  scene.candidates = {0, 1};
  EXPECT_THAT(scene.scores(*made_scorer("peer-link-scorer")), ElementsAre(0.0F, 0.0F));
}

TEST(PeerLinkScorer, ChoosesThePrefillEndpointThatIsNearToTheOneThatDecodes) {
  PluginInstance handler{.type = "disagg-profile-handler"};
  handler.parameters.set("deciders.prefill", "always-disagg-pd-decider");
  const Scheduler scheduler =
      Scheduler::make({.plugins = {{.type = "prefill-filter"},
                                   {.type = "decode-filter"},
                                   {.type = "peer-link-scorer"},
                                   {.type = "always-disagg-pd-decider"},
                                   handler},
                       .profiles = {{.name = "prefill", .plugins = {{"prefill-filter"}, {"peer-link-scorer"}}},
                                    {.name = "decode", .plugins = {{"decode-filter"}}}}})
          .value();
  EndpointSnapshot snapshot = testing::make_snapshot(
      {{.name = "far", .role = "prefill"}, {.name = "near", .role = "prefill"}, {.name = "d", .role = "decode"}});
  snapshot.links = std::make_shared<const LinkTable>(std::vector{
      link("far", "d", {.latency_ms = 9, .bandwidth_mbps = 100}), link("near", "d", {.bandwidth_mbps = 1'000})});
  Budget budget{"prefix", std::size_t{1} << 20};
  const PrefixIndex index{{}, budget};
  Rng rng{1};
  DecisionScratch scratch;
  const RequestFacts request{.model = "m", .prompt_tokens = 1'000};
  for (int k = 0; k < 8; ++k) {
    const Decision decision = scheduler.decide({.request = request, .snapshot = snapshot, .index = index, .now = kNow},
                                               rng, scratch, nullptr);
    ASSERT_NE(decision.prefill, nullptr);
    EXPECT_EQ(decision.prefill->name, "near");
  }
}

TEST(PeerLinkScorer, RefusesWhatIsOutOfRange) {
  EXPECT_EQ(refusal("peer-link-scorer", {{"direction", "both"}}),
            "peer-link-scorer: direction is \"both\"; expected one of to-peer, from-peer");
  EXPECT_EQ(refusal("peer-link-scorer", {{"bytesPerToken", 0.0}}),
            "peer-link-scorer: bytesPerToken is 0; expected a number from 1 to 1000000000");
  EXPECT_EQ(refusal("peer-link-scorer", {{"halfScoreSeconds", 0.0}}),
            "peer-link-scorer: halfScoreSeconds is 0; expected a number from 1e-06 to 3600");
  EXPECT_EQ(refusal("peer-link-scorer", {{"readingAgeMax", "soon"}}),
            "peer-link-scorer: readingAgeMax is \"soon\"; expected a duration such as 200ms, 5s or 1m30s");
}

}  // namespace
}  // namespace llmd::scheduling
