#include "scheduling/plugin_timing.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/budget.h"
#include "base/rng.h"
#include "prefix/prefix_index.h"
#include "scheduling/scheduler.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

/// Counts calls by place, and that none begins within another.
class CallCounter : public PluginTiming {
 public:
  void begin() noexcept override { overlapped = overlapped || std::exchange(running, true); }
  void end(std::size_t place) noexcept override {
    overlapped = overlapped || !std::exchange(running, false);
    ++calls[place];
  }

  std::map<std::size_t, int> calls;
  bool running = false;
  bool overlapped = false;
};

SchedulingConfig pd_config() {
  PluginInstance handler{.name = "pd", .type = "disagg-profile-handler"};
  handler.parameters.set("deciders.prefill", std::string{"always-disagg-pd-decider"});
  return {.plugins = {{.type = "prefill-filter"},
                      {.type = "decode-filter"},
                      {.name = "prefix", .type = "prefix-cache-scorer"},
                      {.type = "latency-slo-admitter"},
                      {.type = "predicted-latency-producer"},
                      {.type = "always-disagg-pd-decider"},
                      handler},
          .profiles = {{.name = "prefill", .plugins = {{"prefill-filter"}, {"prefix", 2}}},
                       {.name = "decode", .plugins = {{"decode-filter"}, {"prefix", 3}}}}};
}

TEST(PluginTiming, IsToldOfEachCallUnderThePluginsTypeAndName) {
  const auto scheduler = Scheduler::make(pd_config());
  ASSERT_TRUE(scheduler) << scheduler.error().to_string();
  const EndpointSnapshot snapshot =
      testing::make_snapshot({{.name = "p", .role = "prefill"}, {.name = "d", .role = "decode"}});
  Budget budget{"index", std::size_t{1} << 20U};
  PrefixIndex index{{}, budget};
  const RequestFacts request{
      .model = "m", .prefix = {.hashes = {1, 2}, .block_tokens = 64}, .prompt_tokens = 128, .priority = -1};
  const SchedulerMemory memory = scheduler->make_memory(nullptr);
  DecisionScratch scratch;
  Rng rng{1};
  CallCounter timing;
  const Decision decision = scheduler->decide({.request = request,
                                               .snapshot = snapshot,
                                               .index = index,
                                               .now = testing::kNow,
                                               .memory = &memory,
                                               .timing = &timing},
                                              rng, scratch, nullptr);
  EXPECT_NE(decision.prefill, nullptr);
  EXPECT_FALSE(timing.running);
  EXPECT_FALSE(timing.overlapped);
  std::map<std::string, int> named;
  for (const auto& [place, calls] : timing.calls) {
    ASSERT_LT(place, scheduler->timed_plugins().size());
    const TimedPlugin& plugin = scheduler->timed_plugins()[place];
    named[std::string{plugin.extension_point} + " " + plugin.type + " " + plugin.name] = calls;
  }
  EXPECT_EQ(named, (std::map<std::string, int>{
                       {"Filter model-filter model-filter", 2},
                       {"Filter subset-filter subset-filter", 2},
                       {"Filter health-filter health-filter", 2},
                       {"Filter outlier-filter outlier-filter", 2},
                       {"Filter prefill-filter prefill-filter", 1},
                       {"Filter decode-filter decode-filter", 1},
                       {"Scorer prefix-cache-scorer prefix", 2},
                       {"Picker max-score-picker max-score-picker", 2},
                       {"Admission latency-slo-admitter latency-slo-admitter", 1},
                       {"ProfilePicker disagg-profile-handler pd", 1},
                       {"DataProducer approx-prefix-cache-producer approx-prefix-cache-producer", 1},
                       {"DataProducer predicted-latency-producer predicted-latency-producer", 1},
                   }));
}

TEST(PluginTiming, NamesEachPluginOnceAtAPlace) {
  const auto scheduler = Scheduler::make(pd_config());
  ASSERT_TRUE(scheduler);
  std::set<std::pair<std::string, std::string>> seen;
  for (const TimedPlugin& each : scheduler->timed_plugins())
    EXPECT_TRUE(seen.emplace(each.extension_point, each.name).second) << each.extension_point << " " << each.name;
}

}  // namespace
}  // namespace llmd::scheduling
