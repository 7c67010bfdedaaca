#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "prefix/prefix_index.h"
#include "scheduling/learning/weight_learner.h"
#include "scheduling/scheduler.h"
#include "scheduling/session_affinity.h"
#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::EndpointSpec;
using testing::kNow;
using testing::make_snapshot;
using testing::parameters_of;

PluginInstance affinity(const std::string& strategy) {
  return {.name = "affinity", .type = "session-affinity-scorer", .parameters = parameters_of({{"strategy", strategy}})};
}

/// A host of a scheduler: decides, sends, and keeps the memory.
class Host {
 public:
  explicit Host(std::vector<PluginInstance> plugins) { use(std::move(plugins)); }
  void use(std::vector<PluginInstance> plugins) {
    auto made = Scheduler::make({.plugins = std::move(plugins)});
    ASSERT_TRUE(made.has_value()) << made.error().to_string();
    scheduler = std::make_unique<Scheduler>(std::move(*made));
    memory = scheduler->make_memory(&memory);
  }
  Decision send(const std::vector<EndpointSpec>& pool) {
    const EndpointSnapshot snapshot = make_snapshot(pool);
    Decision decision =
        scheduler->decide({.request = request, .snapshot = snapshot, .index = index, .now = kNow, .memory = &memory},
                          rng, scratch, nullptr);
    scheduler->sent(request, decision, kNow, memory);
    return decision;
  }

  std::unique_ptr<Scheduler> scheduler;
  SchedulerMemory memory;
  Budget budget{"prefix", std::size_t{1} << 20};
  PrefixIndex index{{}, budget};
  RequestFacts request{.request_id = "r", .model = "m"};
  Rng rng{1};
  DecisionScratch scratch;
};

const std::vector<EndpointSpec> kPool{{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}};

TEST(SchedulerMemory, KeepsSessionsWhereTheyWereEvenOverANewConfiguration) {
  Host host{{affinity("session_id")}};
  EXPECT_EQ(host.scheduler->headers_read(), std::vector<std::string>{"x-session-id"});
  host.request.headers = {{"x-session-id", "s"}};
  const std::string first = host.send(kPool).decode->name;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(host.send(kPool).decode->name, first);
  host.use({affinity("session_id"), {.type = "queue-scorer"}});
  for (int i = 0; i < 20; ++i) EXPECT_EQ(host.send(kPool).decode->name, first);
}

TEST(SchedulerMemory, TellsInFiguresWhatItHolds) {
  PluginInstance sessions = affinity("session_id");
  sessions.name = "team/affinity";
  Host host{{sessions,
             {.name = "cold", .type = "no-hit-lru-scorer"},
             {.name = "q", .type = "queue-scorer"},
             {.name = "learner", .type = "weight-learner"},
             {.name = "media", .type = "mm-embeddings-cache-producer"}}};
  host.request.headers = {{"x-session-id", "s"}};
  host.request.media = {{.hash = 7, .weight = 100}};
  const std::string served = host.send(kPool).decode->name;
  std::map<std::string, PluginState> states;
  for (NamedPluginState& each : host.memory.states())
    states.emplace(each.name + ":" + each.type, std::move(each.state));
  ASSERT_EQ(states.size(), 4U);
  const PluginState& session = states.at("team/affinity:session-affinity-scorer");
  ASSERT_EQ(session.figures.size(), 2U);
  EXPECT_EQ(session.figures[0].name, "totalSessions");
  EXPECT_EQ(session.figures[0].value, 1);
  EXPECT_EQ(states.at("cold:no-hit-lru-scorer").figures.at(0).value, 1);
  const PluginState& media = states.at(":mm-embeddings-cache-producer");
  ASSERT_EQ(media.items.size(), 1U);
  EXPECT_EQ(media.items[0].name, served);
  EXPECT_EQ(media.items[0].figures.at(0).value, 1);
  const PluginState& learner = states.at("learner:weight-learner");
  EXPECT_EQ(learner.items_are, "scorers");
  ASSERT_EQ(learner.items.size(), 3U);
  EXPECT_EQ(learner.items[2].name, "q");
  EXPECT_EQ(learner.items[2].figures.at(1).value, 1) << "the configured weight";
}

TEST(SchedulerMemory, IsNotHandedToAnotherTypeOfTheSameName) {
  Host host{{affinity("session_id")}};
  host.request.headers = {{"x-session-id", "s"}};
  host.send(kPool);
  host.use({{.name = "affinity", .type = "no-hit-lru-scorer"}});
  std::vector<std::string> turns;
  for (std::size_t i = 0; i < kPool.size(); ++i) turns.push_back(host.send(kPool).decode->name);
  EXPECT_EQ(turns, (std::vector<std::string>{"a", "b", "c", "d"}));
}

TEST(SchedulerAnswer, NamesTheEndpointThatServed) {
  Host host{{affinity("encoded_endpoint_header")}};
  const Decision decision = host.send(kPool);
  const std::vector<Header> headers = host.scheduler->answer_headers(host.request, decision, *decision.decode);
  EXPECT_EQ(headers, (std::vector<Header>{{"x-session-token", session_token(decision.decode->name)}}));
  host.request.headers = headers;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(host.send(kPool).decode->name, decision.decode->name);
}

PluginInstance learner(double bound) {
  return {.name = "weight-learner", .type = "weight-learner", .parameters = parameters_of({{"boundFactor", bound}})};
}

TEST(SchedulerMemory, HandsLearnedWeightsOnWhileTheirSubjectStays) {
  const PluginInstance queue{.name = "queue-scorer", .type = "queue-scorer"};
  const PluginInstance kv{.name = "kv-cache-utilization-scorer", .type = "kv-cache-utilization-scorer"};
  Host host{{queue, kv, learner(4.0)}};
  const auto first = host.memory.weight_learner();
  ASSERT_NE(first, nullptr);
  EXPECT_TRUE(host.send(kPool).trial.made);
  EXPECT_EQ(first->status().requests, 1U);
  host.use({queue, kv, learner(4.0), {.name = "inflight-load-producer", .type = "inflight-load-producer"}});
  EXPECT_EQ(host.memory.weight_learner(), first);
  host.use({queue, kv, learner(2.0)});
  EXPECT_NE(host.memory.weight_learner(), first);
  host.use({queue, kv});
  EXPECT_EQ(host.memory.weight_learner(), nullptr);
  EXPECT_FALSE(host.send(kPool).trial.made);
}

TEST(SchedulerMemory, ExplainsWithTheWeightsThatWereUsed) {
  const PluginInstance queue{.name = "queue-scorer", .type = "queue-scorer"};
  const PluginInstance kv{.name = "kv-cache-utilization-scorer", .type = "kv-cache-utilization-scorer"};
  Host host{{queue, kv, learner(4.0)}};
  const EndpointSnapshot snapshot = make_snapshot(kPool);
  Explanation explanation;
  (void)host.scheduler->decide(
      {.request = host.request, .snapshot = snapshot, .index = host.index, .now = kNow, .memory = &host.memory},
      host.rng, host.scratch, &explanation);
  ASSERT_EQ(explanation.profiles.size(), 1U);
  const ProfileExplanation& profile = explanation.profiles.front();
  EXPECT_FALSE(profile.arm.empty());
  double total = 0;
  for (std::size_t s = 0; s < profile.scorers.size(); ++s)
    total += static_cast<double>(profile.parts_of(0)[s].score) * static_cast<double>(profile.scorers[s].weight);
  EXPECT_NEAR(static_cast<double>(profile.candidates.front().total), total, 1e-4);
}

TEST(SchedulerMemory, RefusesALearnerWithNothingToLearn) {
  const auto one = Scheduler::make({.plugins = {{.name = "queue-scorer", .type = "queue-scorer"}, learner(4.0)}});
  ASSERT_FALSE(one);
  EXPECT_NE(one.error().what.find("has 1 scorers; expected 2 to 8"), std::string::npos) << one.error().what;
  const auto nowhere = Scheduler::make({.plugins = {{.name = "queue-scorer", .type = "queue-scorer"},
                                                    {.name = "weight-learner",
                                                     .type = "weight-learner",
                                                     .parameters = parameters_of({{"profile", std::string{"x"}}})}}});
  ASSERT_FALSE(nowhere);
  EXPECT_NE(nowhere.error().what.find("there is no profile"), std::string::npos);
}

}  // namespace
}  // namespace llmd::scheduling
