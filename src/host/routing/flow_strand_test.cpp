#include "routing/flow_strand.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "runtime/testing/loop_thread.h"
#include "runtime/testing/run.h"

namespace llmd::routing {
namespace {

/// A strand before one endpoint that takes one request at a time, and the loop that it runs on.
struct Scene {
  explicit Scene(flow::FlowConfig flow = {}) : strand{loop, pool, parts(std::move(flow)), metrics, 1} {
    Endpoint endpoint;
    endpoint.name = "a";
    endpoint.url = "http://127.0.0.1:1";
    pool.put(std::move(endpoint), SteadyClock::now() - seconds{1});
  }
  ~Scene() {
    strand.close();
    loop.discard();
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;
  static FlowParts parts(flow::FlowConfig flow, bool enabled = true) {
    flow.enabled = enabled;
    flow.saturation_detector = "one-at-a-time";
    scheduling::SchedulingConfig config;
    config.plugins.push_back({.name = "one-at-a-time", .type = "concurrency-detector"});
    config.plugins[0].parameters.set("maxConcurrency", std::int64_t{1});
    return *make_flow_parts(flow, config);
  }
  std::shared_ptr<FlowPass> enter(std::int32_t priority = 0) {
    return strand.enter(loop, {.fairness_id = "f", .model = "m", .priority = priority, .bytes = 10});
  }
  /// How the stay ends.
  std::optional<flow::Outcome> outcome(const std::shared_ptr<FlowPass>& pass) {
    std::optional<flow::Outcome> found;
    auto wait = [&]() -> Task<void> { found = co_await pass->outcome(); };
    testkit::run_task(loop, wait());
    return found;
  }
  double count(std::string_view name) {
    double sum = 0;
    for (const auto& family : metrics.collect()) {
      if (family.name != name) continue;
      for (const auto& series : family.series)
        sum += series.gauge != nullptr ? series.gauge->value() : series.counter->value();
    }
    return sum;
  }

  Loop loop{"test"};
  MetricsRegistry metrics;
  pool::Pool pool{{}};
  FlowStrand strand;
};

TEST(FlowStrand, LetsOneGoWhenTheOneBeforeHasEnded) {
  Scene scene;
  auto first = scene.enter();
  EXPECT_EQ(scene.outcome(first), flow::Outcome::kDispatched);
  const auto second = scene.enter();
  const auto third = scene.enter();
  EXPECT_EQ(scene.strand.waiting(), 2U) << "the first is not counted by the pool, but here";
  auto sent = scene.pool.begin_request("a", {}, SteadyClock::now());
  first->decided();
  EXPECT_EQ(scene.strand.waiting(), 2U);
  sent.end();
  first->finish(5);
  EXPECT_EQ(scene.outcome(second), flow::Outcome::kDispatched);
  EXPECT_EQ(scene.strand.waiting(), 1U);
  EXPECT_EQ(scene.count("llm_d_epp_flow_control_queue_size"), 1);
  third->cancel();
  EXPECT_EQ(scene.outcome(third), flow::Outcome::kEvictedCancelled);
  EXPECT_EQ(third->error().code, ErrorCode::kCancelled);
  EXPECT_EQ(scene.count("llm_d_epp_flow_control_requests_total"), 3);
}

TEST(FlowStrand, APassThatIsDroppedGivesItsPlaceBack) {
  Scene scene;
  auto first = scene.enter();
  const auto second = scene.enter();
  EXPECT_EQ(scene.strand.waiting(), 1U);
  first.reset();  // its coroutine was destroyed
  EXPECT_EQ(scene.outcome(second), flow::Outcome::kDispatched);
}

TEST(FlowStrand, LooksByItselfForWhatTimeAloneChanges) {
  flow::FlowConfig flow;
  flow.ttl = milliseconds{50};
  Scene scene{flow};
  scene.loop.spawn(scene.strand.run());
  const auto first = scene.enter();
  const auto second = scene.enter();
  EXPECT_EQ(scene.outcome(second), flow::Outcome::kEvictedTtl);
  EXPECT_GE(second->waited(), milliseconds{50});
  EXPECT_EQ(second->dropped_reason(), "rejected-ttl-expired");
  EXPECT_EQ(second->error().code, ErrorCode::kOverloaded);
  scene.strand.close();
}

TEST(FlowStrand, WithoutTheGateOnlyLowPrioritiesAreShed) {
  Scene scene;
  const auto first = scene.enter();
  const auto waits = scene.enter(3);
  EXPECT_EQ(scene.strand.waiting(), 1U);
  scene.strand.set_parts(Scene::parts({}, /*enabled=*/false));
  EXPECT_EQ(scene.outcome(waits), flow::Outcome::kDispatched) << "nothing waits any more";
  const auto shed = scene.enter(-1);
  EXPECT_EQ(scene.outcome(shed), flow::Outcome::kRejectedCapacity);
  EXPECT_EQ(shed->error().what, "system saturated, sheddable request dropped");
  EXPECT_EQ(shed->dropped_reason(), "");
  EXPECT_EQ(scene.outcome(scene.enter(0)), flow::Outcome::kDispatched);
}

TEST(FlowStrand, ClosedItAnswersAtOnce) {
  Scene scene;
  const auto first = scene.enter();
  const auto second = scene.enter();
  scene.strand.close();
  EXPECT_EQ(scene.outcome(second), flow::Outcome::kEvictedShuttingDown);
  EXPECT_EQ(scene.outcome(scene.enter()), flow::Outcome::kEvictedShuttingDown);
}

TEST(FlowStrand, NamesTheLimitThatRefuses) {
  flow::FlowConfig flow;
  flow.bytes_max = 15;
  Scene scene{flow};
  const auto first = scene.enter();
  const auto second = scene.enter();
  const auto third = scene.enter();
  EXPECT_EQ(scene.outcome(third), flow::Outcome::kRejectedCapacity);
  EXPECT_EQ(third->error().what, "too many requests wait: with this one maxBytes would be 20; 15 is allowed");
  EXPECT_EQ(third->dropped_reason(), "rejected-saturated");
}

TEST(FlowStrand, CutsARequestOfLowPriorityForOneThatWaits) {
  flow::FlowConfig flow;
  flow.eviction = true;
  Scene scene{flow};
  auto low = scene.enter(-1);
  ASSERT_EQ(scene.outcome(low), flow::Outcome::kDispatched);
  bool told = false;
  low->on_evict([&] {
    told = true;
    low->finish(0);
  });
  const auto high = scene.enter(1);
  EXPECT_EQ(scene.outcome(high), flow::Outcome::kDispatched);
  EXPECT_TRUE(told);
  EXPECT_GT(scene.count("llm_d_epp_flow_control_pending_reclaim"), 0) << "metrics cannot show yet that it left";
}

TEST(FlowStrand, ShowsWhatProgramAwareFairnessGoesBy) {
  for (const bool aware : {true, false}) {
    flow::FlowConfig flow;
    flow.default_band = flow::BandConfig{};
    if (aware) flow.default_band->fairness = "program-aware-fairness";
    Scene scene{flow};
    auto first = scene.enter();
    ASSERT_EQ(scene.outcome(first), flow::Outcome::kDispatched);
    EXPECT_EQ(scene.count("llm_d_epp_program_aware_jains_fairness_index"), aware ? 1 : 0);
    first->finish(30);
    EXPECT_NEAR(scene.count("llm_d_epp_program_aware_attained_service_tokens"), aware ? 60 : 0, 1);
  }
}

TEST(FlowStrand, AVictimThatIsNotSentYetIsToldWhenItCanBe) {
  flow::FlowConfig flow;
  flow.eviction = true;
  Scene scene{flow};
  auto low = scene.enter(-1);
  ASSERT_EQ(scene.outcome(low), flow::Outcome::kDispatched);
  const auto high = scene.enter(1);  // names the victim
  testkit::run_task(scene.loop, sleep_for(milliseconds{1}));
  bool told = false;
  low->on_evict([&] {
    told = true;
    low->finish(0);
  });
  EXPECT_TRUE(told);
  EXPECT_EQ(scene.outcome(high), flow::Outcome::kDispatched);
}

TEST(FlowStrand, ServesManyLoopsAtOnce) {
  Scene scene;
  constexpr int kEach = 300;
  constexpr int kLoops = 3;
  std::atomic<int> dispatched{0};
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  {
    std::vector<std::unique_ptr<testkit::LoopThread>> threads;
    for (int i = 0; i < kLoops; ++i) threads.push_back(std::make_unique<testkit::LoopThread>());
    auto one = [&](Loop& loop) -> Task<void> {
      const auto pass = scene.strand.enter(loop, {.fairness_id = "f", .model = "m"});
      const flow::Outcome outcome = co_await pass->outcome();
      if (outcome != flow::Outcome::kDispatched) co_return;
      const int now = ++running;
      for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
      }
      auto sent = scene.pool.begin_request("a", {}, SteadyClock::now());
      pass->decided();
      co_await sleep_for(Duration{1});  // the loops go on meanwhile
      ++dispatched;
      --running;
      sent.end();
      pass->finish(1);
    };
    for (int n = 0; n < kEach; ++n) {
      for (auto& thread : threads) thread->loop().spawn(one(thread->loop()));
    }
    const TimePoint deadline = SteadyClock::now() + seconds{20};
    while (dispatched < kEach * kLoops && SteadyClock::now() < deadline) std::this_thread::yield();
  }
  EXPECT_EQ(dispatched, kEach * kLoops);
  EXPECT_EQ(most, 1) << "one at a time, whatever loop it is on";
  EXPECT_EQ(scene.strand.waiting(), 0U);
}

}  // namespace
}  // namespace llmd::routing
