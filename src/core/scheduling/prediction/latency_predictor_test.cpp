#include "scheduling/prediction/latency_predictor.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/rng.h"
#include "model/link_table.h"
#include "scheduling/prediction/link_speed.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::kNow;

/// Endpoints whose latencies follow a law, and requests that teach it.
struct Fleet {
  explicit Fleet(std::size_t endpoints, std::vector<double> slow = {}) : slowness{std::move(slow)} {
    std::vector<testing::EndpointSpec> specs;
    for (std::size_t i = 0; i < endpoints; ++i)
      specs.push_back({.name = fmt::format("e{}", i), .waiting = 0U, .running = 1U});
    snapshot = testing::make_snapshot(specs);
    live.resize(endpoints);
    matched.assign(endpoints, 0);
    slowness.resize(endpoints, 1.0);
    request.prefix.block_tokens = 100;
  }

  PluginInput input() {
    return {.request = request,
            .endpoints = snapshot.endpoints,
            .matched_blocks = matched,
            .live = live,
            .serves = {},
            .now = now,
            .metric_age_max = seconds{2}};
  }
  double ttft(std::size_t i) const {
    const double uncached = (request.prompt_tokens - matched[i] * 100.0) / 1'000;
    const double queued = static_cast<double>(live[i].prefill_tokens) / 1'000;
    return slowness[i] * (10 + 60 * uncached + 60 * queued);
  }
  double tpot(std::size_t i) const { return slowness[i] * (6 + 0.1 * (live[i].requests - live[i].prefilling)); }

  void draw() {
    request.prompt_tokens = static_cast<std::uint32_t>(200 + rng.below(8'000));
    for (std::size_t i = 0; i < live.size(); ++i) {
      live[i] = {.requests = static_cast<std::uint32_t>(2 + rng.below(30)), .prefilling = 2};
      live[i].prefill_tokens = rng.below(5'000);
      matched[i] = static_cast<std::uint32_t>(rng.below(request.prompt_tokens / 100));
    }
    now += milliseconds{50};
  }
  /// A request to endpoint i, and what came of it.
  void serve(std::size_t i) {
    predictor.predict(input(), places, predictions);
    PluginInput with = input();
    with.predictions = predictions;
    const LatencyBasis basis = predictor.basis(with, places, static_cast<EndpointIndex>(i));
    const std::string& name = snapshot.endpoints[i].endpoint->name;
    predictor.sent(name, basis, now);
    predictor.learn(basis,
                    {.endpoint = name,
                     .ttft_ms = static_cast<float>(ttft(i)),
                     .tpot_ms = static_cast<float>(tpot(i)),
                     .cached_tokens = matched[i] * 100,
                     .output_tokens = 100},
                    now);
  }
  void teach(int requests) {
    for (int n = 0; n < requests; ++n) {
      draw();
      serve(rng.below(live.size()));
    }
  }

  std::vector<double> slowness;
  EndpointSnapshot snapshot;
  std::vector<LiveLoad> live;
  std::vector<std::uint32_t> matched;
  RequestFacts request;
  TimePoint now = kNow;
  Rng rng{1};
  LatencyPredictor predictor{{}};
  LatencyPredictor::Places places;
  std::vector<LatencyPrediction> predictions;
};

TEST(LatencyPredictor, SaysNothingBeforeItHasSeenEnough) {
  Fleet fleet{4};
  fleet.teach(31);
  fleet.predictor.predict(fleet.input(), fleet.places, fleet.predictions);
  EXPECT_FALSE(fleet.predictions[0].known);
  fleet.teach(2);
  fleet.predictor.predict(fleet.input(), fleet.places, fleet.predictions);
  for (const LatencyPrediction& each : fleet.predictions) EXPECT_TRUE(each.known);
}

TEST(LatencyPredictor, SaysHowSlowARequestWasForItsClassWithoutAnyPredictionBefore) {
  Fleet fleet{8, {4.0}};
  const auto serve = [&](std::size_t i) {
    fleet.draw();
    const LatencyBasis basis = fleet.predictor.basis_of(fleet.input(), static_cast<EndpointIndex>(i));
    const ObservedLatency seen{.endpoint = fleet.snapshot.endpoints[i].endpoint->name,
                               .ttft_ms = static_cast<float>(fleet.ttft(i)),
                               .tpot_ms = static_cast<float>(fleet.tpot(i)),
                               .cached_tokens = fleet.matched[i] * 100,
                               .output_tokens = 100};
    return fleet.predictor.learn(basis, seen, fleet.now);
  };
  EXPECT_EQ(serve(0).tpot, 0) << "nothing is expected yet";
  for (std::size_t n = 0; n < 800; ++n) (void)serve(n % 8);
  for (std::size_t n = 0; n < 40; ++n) {
    const float slow = serve(0).tpot;
    const float other = serve(1 + n % 7).tpot;
    EXPECT_NEAR(slow / other, 4, 0.6) << "that it is known to be slow does not hide it";
  }
}

TEST(LatencyPredictor, CountsOfThePromptUnderWayWhatIsLeft) {
  Fleet fleet{4};
  fleet.teach(800);
  fleet.request.prompt_tokens = 100;
  fleet.matched = {0, 0, 0, 0};
  const std::uint64_t head = 4'000;  // 240 ms by the law
  for (LiveLoad& live : fleet.live) live = {.requests = 2, .prefilling = 2, .prefill_tokens = 5'000};
  for (std::size_t i = 1; i < 4; ++i) fleet.live[i].prefill_head = head;
  fleet.live[1].prefill_since = fleet.now;
  fleet.live[2].prefill_since = fleet.now - milliseconds{120};
  fleet.live[3].prefill_since = fleet.now - seconds{9};
  fleet.predictor.predict(fleet.input(), fleet.places, fleet.predictions);
  const float all = fleet.predictions[0].ttft_ms;
  EXPECT_NEAR(fleet.predictions[1].ttft_ms, all, 0.01) << "it has just begun";
  EXPECT_NEAR(all - fleet.predictions[2].ttft_ms, 120, 20) << "half of it is done";
  EXPECT_NEAR(all - fleet.predictions[3].ttft_ms, 240, 40) << "no more of it can be done than there is";
}

TEST(LatencyPredictor, KnowsHowMuchBetterAnEndpointHasBeenForItsRequestsThanTheNext) {
  Fleet fleet{4};
  fleet.teach(800);
  fleet.request.prompt_tokens = 4'000;
  for (LiveLoad& live : fleet.live) live = {.requests = 2};
  fleet.matched = {38, 20, 0, 0};  // 1,800 tokens between the first two, 60 ms for each thousand
  for (int n = 0; n < 100; ++n) fleet.serve(0);
  for (int n = 0; n < 100; ++n) fleet.serve(2);
  fleet.predictor.predict(fleet.input(), fleet.places, fleet.predictions);
  EXPECT_NEAR(fleet.predictions[0].advantage_ms, 108, 15);
  EXPECT_NEAR(fleet.predictions[2].advantage_ms, 0, 1) << "others were better for all that went there";
  fleet.snapshot.endpoints[1].health = EndpointHealth::kDown;
  fleet.snapshot.endpoints[1].traffic.share = 0;
  for (int n = 0; n < 100; ++n) fleet.serve(0);
  fleet.predictor.predict(fleet.input(), fleet.places, fleet.predictions);
  EXPECT_NEAR(fleet.predictions[0].advantage_ms, 228, 30) << "the next best is one that serves";
}

TEST(LiveLoad, TellsWhichPromptIsComputedAndSinceWhen) {
  LiveLoad live;
  live.prompt_sent(4'000, kNow);
  live.prompt_sent(100, kNow + seconds{1});
  live.prompt_sent(300, kNow + seconds{2});
  EXPECT_EQ(live.prefill_head, 4'000U);
  EXPECT_EQ(live.prefill_since, kNow);
  live.prompt_left(300, {});
  EXPECT_EQ(live.prefill_since, kNow) << "one that waited gave up";
  live.prompt_sent(500, kNow + seconds{3});
  live.prompt_left(4'000, kNow + seconds{4});
  EXPECT_EQ(live.prefill_head, 300U) << "the mean of those that wait";
  EXPECT_EQ(live.prefill_since, kNow + seconds{4});
  EXPECT_EQ(live.prefill_tokens, 600U);
  live.prompt_left(300, {});
  EXPECT_EQ(live.prefill_head, 0U) << "the one that was computed gave up";
}

TEST(LatencyPredictor, LearnsWhatOneClassHasInCommon) {
  Fleet fleet{8};
  fleet.teach(800);
  fleet.draw();
  fleet.predictor.predict(fleet.input(), fleet.places, fleet.predictions);
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(fleet.predictions[i].ttft_ms, fleet.ttft(i), 0.1 * fleet.ttft(i)) << i;
    EXPECT_NEAR(fleet.predictions[i].tpot_ms, fleet.tpot(i), 0.1 * fleet.tpot(i)) << i;
    EXPECT_NEAR(fleet.predictions[i].output_tokens, 100, 1);
    const double uncached = (fleet.request.prompt_tokens - fleet.matched[i] * 100.0) / 1'000;
    EXPECT_NEAR(fleet.predictions[i].prefill_ms, 60 * uncached, 12 * uncached + 3);
  }
  EXPECT_LT(fleet.predictor.stats().ttft_error, 0.1);
  EXPECT_EQ(fleet.predictor.stats().classes, 1U);
}

TEST(LatencyPredictor, LearnsDecodeLegsByThemselves) {
  Fleet fleet{4};  // e0 prefills, the others decode; a link's time is 10 ms a thousand tokens, or ten times that
  const LinkTable links{{{.from = "e0", .to = "e2", .link = {.bandwidth_mbps = {100.0F, TimePoint::max()}}}}};
  std::vector<HandoffPrediction> handoffs;
  const auto moved_to = [&](EndpointIndex d) {
    return static_cast<float>(fleet.request.prompt_tokens - fleet.matched[d] * 100) / 1'000;
  };
  const auto handoff = [&](EndpointIndex d) { return 5 + (d == 2 ? 100 : 10) * moved_to(d); };
  const auto look = [&] {
    fleet.draw();
    PluginInput input = fleet.input();
    input.links = &links;
    fleet.predictor.predict(input, fleet.places, fleet.predictions, &handoffs);
    input.predictions = fleet.predictions;
    input.handoffs = handoffs;
    return input;
  };
  for (int n = 0; n < 500; ++n) {
    const PluginInput input = look();
    const auto d = static_cast<EndpointIndex>(1 + fleet.rng.below(3));
    const LatencyBasis basis = fleet.predictor.basis_apart(input, fleet.places, d, 0);
    EXPECT_EQ(basis.link, d == 2 ? 10.0F : 1.0F);
    fleet.predictor.learn(basis,
                          {.endpoint = fleet.snapshot.endpoints[d].endpoint->name,
                           .ttft_ms = 700 + handoff(d),
                           .prefill_ms = 700,
                           .tpot_ms = 8,
                           .output_tokens = 100},
                          fleet.now);
  }
  const PluginInput input = look();
  EXPECT_FALSE(fleet.predictions[1].known);  // nothing was seen of prompts that are computed there
  for (const EndpointIndex d : {1U, 2U, 3U}) {
    ASSERT_TRUE(handoffs[d].known);
    EXPECT_NEAR(handoff_ms(handoffs[d], moved_to(d), link_between(input, 0, d)), handoff(d), 0.1F * handoff(d) + 1)
        << d;
    EXPECT_NEAR(handoffs[d].tpot_ms, 8, 0.5);
  }
}

TEST(LatencyPredictor, KnowsTheSlowOneAmongItsPeers) {
  Fleet fleet{8, {1, 1, 1, 3, 1, 1, 1, 1}};
  fleet.teach(1'000);
  fleet.draw();
  fleet.predictor.predict(fleet.input(), fleet.places, fleet.predictions);
  for (const std::size_t i : {0U, 3U, 7U}) {
    EXPECT_NEAR(fleet.predictions[i].ttft_ms, fleet.ttft(i), 0.3 * fleet.ttft(i)) << i;
    EXPECT_NEAR(fleet.predictions[i].tpot_ms, fleet.tpot(i), 0.3 * fleet.tpot(i)) << i;
  }
}

TEST(LatencyPredictor, ForgivesWhenNothingIsHeard) {
  Fleet fleet{8, {1, 1, 1, 3, 1, 1, 1, 1}};
  fleet.teach(1'000);
  fleet.now += seconds{1'200};
  fleet.predictor.predict(fleet.input(), fleet.places, fleet.predictions);
  EXPECT_LT(fleet.predictions[3].tpot_ms, 1.5 * fleet.tpot(3) / 3);
}

TEST(LatencyPredictor, KeepsHardwareApart) {
  Fleet fleet{4, {1, 1, 5, 5}};
  for (std::size_t i = 0; i < 4; ++i) {
    auto endpoint = std::make_shared<Endpoint>(*fleet.snapshot.endpoints[i].endpoint);
    endpoint->labels["inference.optimization/acceleratorName"] = i < 2 ? "H200" : "L4";
    fleet.snapshot.endpoints[i].endpoint = std::move(endpoint);
  }
  fleet.teach(600);
  fleet.predictor.predict(fleet.input(), fleet.places, fleet.predictions);
  EXPECT_EQ(fleet.predictor.stats().classes, 2U);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_NEAR(fleet.predictions[i].ttft_ms, fleet.ttft(i), 0.15 * fleet.ttft(i)) << i;
}

TEST(LatencyPredictor, AForgottenEndpointStartsAsItsClass) {
  Fleet fleet{8, {1, 1, 1, 3, 1, 1, 1, 1}};
  fleet.teach(1'000);
  fleet.predictor.forget("e3");
  fleet.predictor.forget("nobody");
  EXPECT_EQ(fleet.predictor.stats().endpoints, 7U);
  fleet.predictor.predict(fleet.input(), fleet.places, fleet.predictions);
  EXPECT_EQ(fleet.predictor.stats().endpoints, 8U);
  EXPECT_LT(fleet.predictions[3].tpot_ms, 1.4 * fleet.tpot(3) / 3);
}

TEST(LatencyPredictor, AClassWithoutEndpointsMakesRoomForANewOne) {
  LatencyPredictor predictor{{.classes_max = 2}};
  Fleet fleet{1};
  const auto deploy = [&](const char* variant) {
    auto endpoint = std::make_shared<Endpoint>(*fleet.snapshot.endpoints[0].endpoint);
    endpoint->name = variant;
    endpoint->labels["llm-d.ai/variant"] = variant;
    fleet.snapshot.endpoints[0].endpoint = std::move(endpoint);
    predictor.predict(fleet.input(), fleet.places, fleet.predictions);
    return predictor.basis(fleet.input(), fleet.places, 0).made;
  };
  EXPECT_TRUE(deploy("a"));
  EXPECT_TRUE(deploy("b"));
  EXPECT_FALSE(deploy("c"));  // both are in use
  predictor.keep_only({"b", "c"});
  EXPECT_EQ(predictor.stats().endpoints, 2U);
  EXPECT_TRUE(deploy("d"));
  EXPECT_EQ(predictor.stats().classes, 2U);
}

TEST(LatencyPredictor, AnswersOfOneTokenTeachTheFirstTokenOnly) {
  Fleet fleet{2};
  for (int n = 0; n < 40; ++n) {
    fleet.draw();
    fleet.predictor.predict(fleet.input(), fleet.places, fleet.predictions);
    const LatencyBasis basis = fleet.predictor.basis(fleet.input(), fleet.places, 0);
    fleet.predictor.learn(basis, {.endpoint = "e0", .ttft_ms = static_cast<float>(fleet.ttft(0)), .output_tokens = 1},
                          fleet.now);
  }
  fleet.predictor.predict(fleet.input(), fleet.places, fleet.predictions);
  EXPECT_TRUE(fleet.predictions[0].known);
  EXPECT_EQ(fleet.predictions[0].tpot_ms, 0);
}

TEST(LatencyPredictor, EndpointsBeyondTheBoundHaveNoPrediction) {
  LatencyPredictor predictor{{.endpoints_max = 2}};
  Fleet fleet{3};
  predictor.predict(fleet.input(), fleet.places, fleet.predictions);
  EXPECT_EQ(predictor.stats().endpoints, 2U);
  EXPECT_FALSE(predictor.basis(fleet.input(), fleet.places, 2).made);
  EXPECT_TRUE(predictor.basis(fleet.input(), fleet.places, 1).made);
}

TEST(LatencyPredictor, PredictsWhileOthersLearn) {
  Fleet fleet{16};
  fleet.teach(100);
  const PluginInput input = fleet.input();
  const LatencyBasis basis = fleet.predictor.basis(input, fleet.places, 0);
  Fleet others{4};  // slots that are forgotten get other owners
  for (std::size_t i = 0; i < 4; ++i) {
    auto renamed = std::make_shared<Endpoint>(*others.snapshot.endpoints[i].endpoint);
    renamed->name = fmt::format("other{}", i);
    others.snapshot.endpoints[i].endpoint = std::move(renamed);
  }
  const PluginInput their_input = others.input();
  std::vector<std::jthread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      LatencyPredictor::Places places;
      std::vector<LatencyPrediction> predictions;
      const PluginInput& mine = t == 0 ? input : their_input;
      for (int i = 0; i < 300; ++i) {
        fleet.predictor.predict(mine, places, predictions);
        ASSERT_EQ(places.slots.size(), mine.endpoints.size());
      }
      EXPECT_TRUE(predictions[0].known);
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < 300; ++i) {
      fleet.predictor.learn(basis, {.endpoint = "e0", .ttft_ms = 100, .tpot_ms = 7, .output_tokens = 10}, kNow);
      if (i % 50 == 0) fleet.predictor.forget("e5");
      if (i % 50 == 25) fleet.predictor.keep_only({"e0", "e1", "other0"});
    }
  });
}

}  // namespace
}  // namespace llmd::scheduling
