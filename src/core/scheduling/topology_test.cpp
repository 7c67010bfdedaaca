#include "scheduling/topology.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "scheduling/filters/topology_affinity_filter.h"
#include "scheduling/scorers/topology_affinity_scorer.h"
#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::make_plugin;
using testing::parameters_of;
using testing::PluginScene;
using testing::refusal;

constexpr std::string_view kHost = "kubernetes.io/hostname";
constexpr std::string_view kRack = "topology.kubernetes.io/rack";
constexpr std::string_view kZone = "topology.kubernetes.io/zone";
constexpr std::string_view kRegion = "topology.kubernetes.io/region";

using Labels = std::map<std::string, std::string>;

Labels labels(const std::string& host, const std::string& rack, const std::string& zone, const std::string& region) {
  return {{std::string{kHost}, host},
          {std::string{kRack}, rack},
          {std::string{kZone}, zone},
          {std::string{kRegion}, region}};
}

/// The peer is the first endpoint, and no candidate.
struct TopologyScene : PluginScene {
  TopologyScene()
      : PluginScene{{{.name = "peer", .labels = labels("h1", "r1", "z1", "g1")},
                     {.name = "host", .labels = labels("h1", "r1", "z1", "g1")},
                     {.name = "rack", .labels = labels("h2", "r1", "z1", "g1")},
                     {.name = "zone", .labels = labels("h3", "r2", "z1", "g1")},
                     {.name = "region", .labels = labels("h4", "r3", "z2", "g1")},
                     {.name = "far", .labels = labels("h5", "r4", "z3", "g2")},
                     {.name = "unlabelled"}}} {
    peer = 0;
    candidates.erase(candidates.begin());
  }
};

TEST(TopologyAffinityScorer, ScoresTheNearestLevelInCommonWithThePeer) {
  const PluginObjects plugin = make_plugin(TopologyAffinityScorer::kSpec);
  EXPECT_EQ(TopologyScene{}.scores(*plugin.scorer), (std::vector<float>{1.0F, 0.2F, 0.05F, 0.02F, 0.0F, 0.0F}));
}

TEST(TopologyAffinityScorer, ScoresAllZeroWithoutAPeerOrWithoutThePeersPlace) {
  const PluginObjects plugin = make_plugin(TopologyAffinityScorer::kSpec);
  TopologyScene scene;
  scene.peer = kNoEndpointIndex;
  EXPECT_EQ(scene.scores(*plugin.scorer), std::vector<float>(6, 0.0F));
  scene.peer = 6;
  EXPECT_EQ(scene.scores(*plugin.scorer), std::vector<float>(6, 0.0F));
  scene.candidates.clear();
  EXPECT_TRUE(scene.scores(*plugin.scorer).empty());
}

TEST(TopologyAffinityScorer, TakesNoEmptyLabelForTheSamePlace) {
  PluginScene scene{
      {{.name = "peer", .labels = labels("", "r1", "", "")}, {.name = "a", .labels = labels("", "r2", "", "")}}};
  scene.peer = 0;
  EXPECT_EQ(scene.scores(*make_plugin(TopologyAffinityScorer::kSpec).scorer), (std::vector<float>{0.2F, 0.0F}));
}

TEST(TopologyAffinityScorer, ReadsTheLabelsThatTheExtractorNames) {
  SchedulingConfig config;
  config.plugins.push_back({.name = "first", .type = "topology-extractor"});
  config.plugins.back().parameters.set("hostname", std::string{"node"});
  config.plugins.push_back({.name = "second", .type = "topology-extractor"});
  config.plugins.back().parameters.set("hostname", std::string{"machine"});
  PluginScene scene{{{.name = "peer", .labels = {{"node", "n1"}, {"machine", "m1"}, {std::string{kZone}, "z1"}}},
                     {.name = "node", .labels = {{"node", "n1"}, {std::string{kZone}, "z1"}}},
                     {.name = "machine", .labels = {{"machine", "m1"}, {std::string{kZone}, "z1"}}}}};
  scene.peer = 0;
  Parameters parameters;
  EXPECT_EQ(scene.scores(*make_plugin(TopologyAffinityScorer::kSpec, parameters, &config).scorer),
            (std::vector<float>{1.0F, 1.0F, 0.05F}));
  parameters.set("topologyProducerName", std::string{"second"});
  EXPECT_EQ(scene.scores(*make_plugin(TopologyAffinityScorer::kSpec, parameters, &config).scorer),
            (std::vector<float>{1.0F, 0.05F, 1.0F}));
}

TEST(TopologyAffinityFilter, KeepsWhatIsAtLeastAsNearAsWanted) {
  const struct {
    std::string level;
    std::vector<std::string> kept;
  } cases[] = {{"host", {"host"}},
               {"rack", {"host", "rack"}},
               {"zone", {"host", "rack", "zone"}},
               {"region", {"host", "rack", "zone", "region"}}};
  for (const auto& c : cases) {
    const PluginObjects plugin = make_plugin(TopologyAffinityFilter::kSpec, parameters_of({{"minAffinity", c.level}}));
    EXPECT_EQ(TopologyScene{}.kept(*plugin.filter), c.kept) << c.level;
  }
}

TEST(TopologyAffinityFilter, KeepsAllWhenNothingIsNearOrThePeerIsUnknown) {
  const PluginObjects plugin = make_plugin(TopologyAffinityFilter::kSpec);  // host
  TopologyScene scene;
  scene.candidates = {2, 3, 6};
  EXPECT_EQ(scene.kept(*plugin.filter), (std::vector<std::string>{"rack", "zone", "unlabelled"}));
  scene.candidates = {1, 2};
  scene.peer = kNoEndpointIndex;
  EXPECT_EQ(scene.kept(*plugin.filter), (std::vector<std::string>{"host", "rack"}));
  scene.peer = 6;
  EXPECT_EQ(scene.kept(*plugin.filter), (std::vector<std::string>{"host", "rack"}));
  scene.candidates.clear();
  EXPECT_TRUE(scene.kept(*plugin.filter).empty());
}

TEST(TopologyAffinityFilter, SaysHowNearADroppedEndpointIs) {
  const PluginObjects plugin = make_plugin(TopologyAffinityFilter::kSpec);
  EXPECT_EQ(TopologyScene{}.reason(*plugin.filter, 3), "nearest level in common with peer is zone; wanted host");
  EXPECT_EQ(TopologyScene{}.reason(*plugin.filter, 6), "nearest level in common with peer is none; wanted host");
}

TEST(TopologyAffinityFilter, RefusesAnUnknownLevel) {
  EXPECT_EQ(refusal(TopologyAffinityFilter::kSpec, parameters_of({{"minAffinity", std::string{"rak"}}})),
            "topology-affinity-filter: minAffinity is \"rak\"; expected one of host, rack, zone, region");
}

}  // namespace
}  // namespace llmd::scheduling
