#include "pool/pool.h"

#include <gtest/gtest.h>

#include <thread>

namespace llmd::pool {
namespace {

Endpoint endpoint(const std::string& name, const std::string& url = "http://127.0.0.1:1") {
  Endpoint made;
  made.name = name;
  made.url = url;
  return made;
}

Probe ready(std::uint32_t waiting = 0) {
  Probe probe;
  probe.readiness = Probe::Readiness::kReady;
  probe.readings = EngineReadings{};
  probe.readings->waiting_requests = waiting;
  return probe;
}

TEST(Pool, PublishesAtMostOnceAnInterval) {
  ManualClock clock;
  Pool pool{{.publish_interval = milliseconds{10}}};
  pool.set_endpoints({endpoint("a")}, clock.now());
  const auto first = pool.view(clock.now());
  pool.on_probe("a", ready(3), clock.now());
  EXPECT_EQ(pool.view(clock.now()), first);
  clock.advance(milliseconds{10});
  const auto second = pool.view(clock.now());
  EXPECT_GT(second->snapshot.version, first->snapshot.version);
  EXPECT_EQ(second->snapshot.endpoints[0].waiting_requests.value, 3U);
  EXPECT_EQ(first->snapshot.endpoints[0].health, EndpointHealth::kUnknown) << "a published view never changes";
}

TEST(Pool, KeepsAReadingWithItsTimeWhenALaterPageLacksIt) {
  ManualClock clock;
  Pool pool{{}};
  pool.set_endpoints({endpoint("a")}, clock.now());
  const TimePoint then = clock.now();
  pool.on_probe("a", ready(3), clock.now());
  clock.advance(seconds{5});
  Probe empty;
  empty.readiness = Probe::Readiness::kReady;
  empty.readings = EngineReadings{};
  pool.on_probe("a", empty, clock.now());
  const auto view = pool.view(clock.now());
  EXPECT_EQ(view->snapshot.endpoints[0].waiting_requests.value, 3U);
  EXPECT_EQ(view->snapshot.endpoints[0].waiting_requests.at, then);
}

TEST(Pool, SeveralChangesAreOneToWhoWatches) {
  ManualClock clock;
  Pool pool{{}};
  pool.set_endpoints({endpoint("a"), endpoint("b")}, clock.now());
  pool.on_probe("b", ready(2), clock.now());
  int told = 0;
  pool.on_change([&] { ++told; });
  pool.change({"a", "gone"}, {endpoint("b"), endpoint("c")}, clock.now());
  EXPECT_EQ(told, 1);
  const auto view = pool.view(clock.now());
  ASSERT_EQ(view->snapshot.endpoints.size(), 2U);
  EXPECT_EQ(view->snapshot.endpoints[0].endpoint->name, "b");
  EXPECT_EQ(view->snapshot.endpoints[0].waiting_requests.value, 2U) << "what stays keeps its state";
  EXPECT_EQ(view->snapshot.endpoints[1].endpoint->name, "c");
  pool.change({"c"}, {endpoint("c", "http://127.0.0.1:2")}, clock.now());
  EXPECT_EQ(pool.endpoints()[1]->url, "http://127.0.0.1:2") << "removed and put: it is there";
}

TEST(Pool, AnEndpointThatStaysKeepsItsStateUnlessItsUrlChanged) {
  ManualClock clock;
  Pool pool{{}};
  pool.set_endpoints({endpoint("a"), endpoint("b")}, clock.now());
  pool.on_probe("a", ready(), clock.now());
  pool.on_probe("b", ready(), clock.now());
  pool.set_endpoints({endpoint("a"), endpoint("b", "http://127.0.0.1:2"), endpoint("c")}, clock.now());
  clock.advance(seconds{1});
  const auto view = pool.view(clock.now());
  ASSERT_EQ(view->snapshot.endpoints.size(), 3U);
  EXPECT_EQ(view->snapshot.endpoints[0].health, EndpointHealth::kReady);
  EXPECT_EQ(view->snapshot.endpoints[1].health, EndpointHealth::kUnknown);
  EXPECT_EQ(view->snapshot.endpoints[2].health, EndpointHealth::kUnknown);
}

TEST(Pool, ARoleThatWasGivenStaysUntilItIsPutWithAnother) {
  Pool pool{{.publish_interval = milliseconds{0}}};
  const TimePoint now = SteadyClock::now();
  const auto put = [&](const char* role) {
    Endpoint endpoint{.name = "a", .url = "http://a", .labels = {{std::string{kRoleLabel}, role}}};
    pool.set_endpoints({std::move(endpoint)}, now);
  };
  const auto role = [&] {
    return pool.view(now)->snapshot.endpoints.at(0).endpoint->labels.at(std::string{kRoleLabel});
  };
  put("decode");
  pool.set_role("a", "prefill");
  pool.set_role("nobody", "prefill");
  EXPECT_EQ(role(), "prefill");
  put("decode");  // the file was read again, and says what it said
  EXPECT_EQ(role(), "prefill");
  put("both");
  EXPECT_EQ(role(), "both");
}

TEST(Pool, KnowsEveryModelThatAnEndpointLists) {
  ManualClock clock;
  Pool pool{{}};
  pool.set_endpoints({endpoint("a")}, clock.now());
  Probe probe = ready();
  probe.models = {{.id = "base"}, {.id = "adapter"}};
  pool.on_probe("a", probe, clock.now());
  const auto listed = pool.view(clock.now())->snapshot.endpoints[0].endpoint;
  EXPECT_EQ(listed->models, *probe.models);
  pool.put(endpoint("a"), clock.now());
  EXPECT_EQ(pool.report(clock.now())[0].state.endpoint->models, *probe.models) << "it is the same endpoint";
  pool.on_probe("a", probe, clock.now());
  const auto same = pool.report(clock.now())[0].state.endpoint;
  probe.models->pop_back();
  pool.on_probe("a", probe, clock.now());
  EXPECT_EQ(same->models.size(), 2U) << "a published endpoint never changes";
  EXPECT_EQ(pool.report(clock.now())[0].state.endpoint->models, *probe.models);
}

TEST(Pool, TellsWhichPromptIsComputedAndSinceWhen) {
  ManualClock clock;
  Pool pool{{}};
  pool.set_endpoints({endpoint("a")}, clock.now());
  const auto view = pool.view(clock.now());
  const auto& live = *view->in_flight[0];
  const TimePoint began = clock.now();
  InFlight first = pool.begin_request("a", {.prefill = 4'000}, began);
  clock.advance(seconds{1});
  InFlight second = pool.begin_request("a", {.prefill = 300}, clock.now());
  EXPECT_EQ(live.prefill_head, 4'000U);
  EXPECT_EQ(live.prefill_since.load(), began);
  {
    InFlight gave_up = pool.begin_request("a", {.prefill = 50}, clock.now());
  }
  EXPECT_EQ(live.prefill_since.load(), began);
  clock.advance(seconds{1});
  first.prompt_computed(clock.now());
  EXPECT_EQ(live.prefill_head, 300U);
  EXPECT_EQ(live.prefill_since.load(), clock.now());
}

TEST(Pool, CountsRequestsInFlightBesideTheSnapshot) {
  ManualClock clock;
  Pool pool{{}};
  pool.set_endpoints({endpoint("a")}, clock.now());
  const auto view = pool.view(clock.now());
  const auto& live = *view->in_flight[0];
  InFlight request = pool.begin_request("a", {.prompt = 100, .output = 20}, clock.now());
  InFlight moved = std::move(request);
  EXPECT_EQ(live.requests, 1U);
  EXPECT_EQ(live.tokens, 120U);
  moved.prompt_computed(clock.now());
  moved.prompt_computed(clock.now());
  EXPECT_EQ(live.tokens, 20U) << "the answer weighs until it ends";
  EXPECT_EQ(live.requests, 1U);
  pool.remove("a");
  moved = InFlight{};
  EXPECT_EQ(live.requests, 0U) << "an endpoint that left still counts down";
  EXPECT_EQ(live.tokens, 0U);
  {
    const InFlight unknown = pool.begin_request("nobody", {.prompt = 1}, clock.now());
  }
}

TEST(Pool, HealthFollowsProbesRequestsAndDraining) {
  ManualClock clock;
  Pool pool{{}};
  pool.set_endpoints({endpoint("a")}, clock.now());
  const auto health_now = [&] {
    clock.advance(milliseconds{100});
    return pool.view(clock.now())->snapshot.endpoints[0].health;
  };
  const auto probe = [&](Probe::Readiness readiness) {
    Probe made;
    made.readiness = readiness;
    pool.on_probe("a", made, clock.now());
  };
  EXPECT_EQ(health_now(), EndpointHealth::kUnknown);
  probe(Probe::Readiness::kReady);
  EXPECT_EQ(health_now(), EndpointHealth::kReady);
  probe(Probe::Readiness::kSilent);
  EXPECT_EQ(health_now(), EndpointHealth::kReady) << "a busy machine misses probes first";
  probe(Probe::Readiness::kNotReady);
  EXPECT_EQ(health_now(), EndpointHealth::kDraining);
  probe(Probe::Readiness::kReady);
  EXPECT_EQ(health_now(), EndpointHealth::kReady);
  pool.drain("a");
  probe(Probe::Readiness::kReady);
  EXPECT_EQ(health_now(), EndpointHealth::kDraining) << "our own word outweighs the endpoint's";
  pool.put(endpoint("a"), clock.now());
  EXPECT_EQ(health_now(), EndpointHealth::kReady);
  pool.on_request_failure("a", health::FailureKind::kConnect, clock.now());
  EXPECT_EQ(health_now(), EndpointHealth::kDown);
  probe(Probe::Readiness::kReady);
  EXPECT_EQ(health_now(), EndpointHealth::kProbing);
  pool.on_request_success("a", clock.now());
  EXPECT_EQ(health_now(), EndpointHealth::kReady);
  EXPECT_FALSE(pool.report(clock.now())[0].reason.empty());
}

TEST(Pool, ARestartedEndpointServesAtOnceWhenItIsReadyWhateverTheOldProcessDid) {
  ManualClock clock;
  Pool pool{{}};
  pool.set_endpoints({endpoint("a")}, clock.now());
  Probe first = ready(9);
  first.models = {{.id = "m"}};
  pool.on_probe("a", first, clock.now());
  for (int i = 0; i < 10; ++i) pool.on_request_failure("a", health::FailureKind::kCutStream, clock.now());
  pool.restart("a");
  clock.advance(milliseconds{10});
  const auto between = pool.view(clock.now());
  EXPECT_EQ(between->snapshot.endpoints[0].health, EndpointHealth::kDraining);
  EXPECT_FALSE(between->snapshot.endpoints[0].waiting_requests.value);
  EXPECT_EQ(between->snapshot.endpoints[0].endpoint->models.at(0).id, "m")
      << "so that a request for it waits, and is no 404";
  pool.on_probe("a", ready(), clock.now());
  clock.advance(milliseconds{10});
  EXPECT_EQ(pool.view(clock.now())->snapshot.endpoints[0].health, EndpointHealth::kReady);
}

TEST(Pool, EventsOfEndpointsThatLeftAreIgnored) {
  ManualClock clock;
  Pool pool{{}};
  pool.on_probe("gone", ready(), clock.now());
  pool.on_request_failure("gone", health::FailureKind::kTimeout, clock.now());
  pool.on_request_success("gone", clock.now());
  pool.drain("gone");
  pool.remove("gone");
  EXPECT_TRUE(pool.view(clock.now())->snapshot.endpoints.empty());
}

TEST(Pool, TellsItsProberOfEachChangeOfTheSet) {
  ManualClock clock;
  Pool pool{{}};
  int changes = 0;
  pool.on_change([&] { changes += static_cast<int>(1 + 0 * pool.endpoints().size()); });
  pool.set_endpoints({endpoint("a")}, clock.now());
  pool.put(endpoint("b"), clock.now());
  pool.remove("a");
  EXPECT_EQ(changes, 3);
}

TEST(Pool, ServesReadersWhileEventsComeIn) {
  Pool pool{{.publish_interval = milliseconds{0}}};
  const TimePoint now = SteadyClock::now();
  pool.set_endpoints({endpoint("a"), endpoint("b")}, now);
  std::atomic<bool> stop{false};
  std::thread writer{[&] {
    for (std::uint32_t i = 0; !stop; ++i) {
      pool.on_probe(i % 2 == 0 ? "a" : "b", ready(i), SteadyClock::now());
      if (i % 64 == 0) pool.put(endpoint("c"), SteadyClock::now());
      if (i % 64 == 32) pool.remove("c");
    }
  }};
  std::uint64_t version = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto view = pool.view(SteadyClock::now());
    EXPECT_GE(view->snapshot.version, version);
    EXPECT_EQ(view->snapshot.endpoints.size(), view->in_flight.size());
    version = view->snapshot.version;
    const InFlight request = pool.begin_request("a", {.prompt = 1}, SteadyClock::now());
  }
  stop = true;
  writer.join();
  EXPECT_EQ(pool.view(SteadyClock::now() + seconds{1})->in_flight[0]->requests, 0U);
}

/// Six endpoints of which each serves a request in every tenth of a second that its share allows.
struct WatchedPool {
  explicit WatchedPool(health::OutlierOptions outliers = {}) : pool{{.outliers = outliers}} {
    for (const char* name : kNames) {
      pool.put(endpoint(name), clock.now());
      pool.on_probe(name, ready(), clock.now());
    }
  }
  void serve(int seconds, float slowness_of_b, bool b_fails = false) {
    for (int tenth = 0; tenth < 10 * seconds; ++tenth) {
      clock.advance(milliseconds{100});
      const auto view = pool.view(clock.now());
      for (const EndpointState& state : view->snapshot.endpoints) {
        const std::string& name = state.endpoint->name;
        if (!admits(state.traffic, static_cast<std::uint64_t>(tenth), name, 0, clock.now())) continue;
        const InFlight request = pool.begin_request(name, {}, clock.now());
        const bool is_b = name == "b";
        if (is_b && b_fails && tenth % 4 == 0) {
          pool.on_request_failure(name, health::FailureKind::kServerError, clock.now());
          continue;
        }
        pool.on_request_success(name, clock.now());
        pool.on_latency(name, {.sent_at = clock.now(), .tpot_ratio = is_b ? slowness_of_b : 1.0F}, clock.now());
      }
    }
  }
  [[nodiscard]] TrafficShare share_of_b() { return pool.report(clock.now())[1].state.traffic; }

  static constexpr const char* kNames[] = {"a", "b", "c", "d", "e", "f"};
  ManualClock clock;
  Pool pool;
};

TEST(Pool, TakesTrafficFromAnEndpointThatStandsOutAndTells) {
  WatchedPool slow;
  slow.serve(20, 1);
  EXPECT_TRUE(slow.pool.take_anomalies().shares.empty());
  slow.serve(20, 5);
  EXPECT_EQ(slow.share_of_b().share, 0);
  EXPECT_EQ(slow.share_of_b().cause, TrafficShare::Cause::kSlow);
  const Anomalies told = slow.pool.take_anomalies();
  ASSERT_EQ(told.shares.size(), 3U);
  EXPECT_EQ(told.shares[0].endpoint, "b");
  EXPECT_EQ(told.shares[0].before.share, 1);
  EXPECT_EQ(told.shares[0].now.share, 0.5F);
  EXPECT_EQ(told.shares[2].now.share, 0);
  EXPECT_TRUE(slow.pool.take_anomalies().shares.empty()) << "each change is told once";
  slow.pool.restart("b");
  EXPECT_EQ(slow.share_of_b().share, 1) << "a new process";
  ASSERT_EQ(slow.pool.take_anomalies().shares.size(), 1U);

  WatchedPool failing;
  failing.serve(30, 1, /*b_fails=*/true);
  EXPECT_LT(failing.share_of_b().share, 1);
  EXPECT_EQ(failing.share_of_b().cause, TrafficShare::Cause::kFailing);
  failing.pool.remove("b");
  const auto last = failing.pool.take_anomalies().shares.back();
  EXPECT_EQ(last.endpoint, "b");
  EXPECT_EQ(last.now.share, 1) << "so that its series does not stay low";

  WatchedPool off{{.enabled = false}};
  off.serve(40, 8);
  EXPECT_EQ(off.share_of_b().share, 1);
}

TEST(Pool, AReadingThatDoesNotMoveCountsAsMissing) {
  ManualClock clock;
  Pool pool{{}};
  pool.put(endpoint("a"), clock.now());
  const InFlight always = pool.begin_request("a", {}, clock.now());
  for (int i = 0; i < 30; ++i) {
    clock.advance(seconds{1});
    pool.on_request_success("a", clock.now());
    Probe probe = ready(static_cast<std::uint32_t>(i % 3));
    probe.readings->kv_usage = 0.0F;
    pool.on_probe("a", std::move(probe), clock.now());
  }
  const EndpointState state = pool.report(clock.now())[0].state;
  EXPECT_FALSE(state.kv_usage.value.has_value());
  EXPECT_TRUE(state.waiting_requests.value.has_value());
  const Anomalies told = pool.take_anomalies();
  ASSERT_EQ(told.flats.size(), 1U);
  EXPECT_EQ(told.flats[0].reading, health::LoadReading::kKvUsage);
  EXPECT_TRUE(told.flats[0].flat);
}

}  // namespace
}  // namespace llmd::pool
