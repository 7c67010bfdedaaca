// Views are brought up to date rather than copied: they must be what a copy would have been.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "pool/pool.h"

namespace llmd::pool {
namespace {

using enum EndpointHealth;

Endpoint endpoint(const std::string& name, std::uint64_t port = 1) {
  return {.name = name, .url = fmt::format("http://127.0.0.1:{}", port), .labels = {}};
}

Probe probe(Probe::Readiness readiness, std::uint32_t waiting = 0) {
  Probe made;
  made.readiness = readiness;
  made.readings = EngineReadings{};
  made.readings->waiting_requests = waiting;
  made.round_trip = microseconds{waiting};
  return made;
}

std::vector<std::string> roles_of(const Endpoint& endpoint) {
  std::vector<std::string> roles;
  for (const auto& [name, value] : endpoint.labels) roles.push_back(value);
  return roles;
}

/// Everything that a view says of an endpoint, but what is in flight, which changes without an event.
std::string told(const EndpointState& state) {
  std::string text = fmt::format("{} {} {} {} {}", state.endpoint->name, state.endpoint->url, health_name(state.health),
                                 state.traffic.share, fmt::join(roles_of(*state.endpoint), ","));
  const auto add = [&](const auto& reading) {
    text.append(fmt::format(" {}@{}", reading.value ? fmt::format("{}", *reading.value) : std::string{},
                            reading.at.time_since_epoch().count()));
  };
  add(state.waiting_requests);
  if (state.signals == nullptr) return text;
  for (const Reading<float>& signal : state.signals->known) add(signal);
  return text;
}

std::vector<std::string> told(const PoolView& view) {
  std::vector<std::string> all;
  for (const EndpointState& state : view.snapshot.endpoints) all.push_back(told(state));
  return all;
}

/// The same events for two pools. Of one all is asked each time, which has every endpoint looked at anew.
class TwoPools {
 public:
  explicit TwoPools(std::uint64_t seed) : rng_{seed} {}

  void step() {
    clock_.advance(milliseconds{rng_.below(400)});
    const std::string name = fmt::format("{}", static_cast<char>('a' + rng_.below(12)));
    const std::uint64_t drawn = rng_.next();
    for (Pool* pool : {&watched_, &asked_}) happen(*pool, drawn, name);
  }

  void compare() {
    const auto view = watched_.view(clock_.now());
    std::vector<std::string> wanted;
    for (const EndpointReport& report : asked_.report(clock_.now())) wanted.push_back(told(report.state));
    EXPECT_EQ(told(*view), wanted);
    for (const auto& [held, was] : held_) EXPECT_EQ(told(*held), was) << "a published view never changes";
    if (held_.size() > rng_.below(8))
      held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(rng_.below(held_.size())));
    if (rng_.chance(0.5)) held_.emplace_back(view, told(*view));
  }

 private:
  void happen(Pool& pool, std::uint64_t drawn, const std::string& name) {
    const TimePoint now = clock_.now();
    using enum Probe::Readiness;
    switch (drawn % 16) {
      case 0: return pool.put(endpoint(name, drawn / 16 % 2), now);
      case 1: return pool.remove(name);
      case 2: return pool.set_endpoints({endpoint("a"), endpoint(name), endpoint("m")}, now);
      case 3: return pool.drain(name);
      case 4: return pool.restart(name);
      case 5: return pool.set_role(name, drawn / 16 % 2 == 0 ? "prefill" : "decode");
      case 6:
      case 7: return pool.on_request_failure(name, health::FailureKind::kServerError, now);
      case 8: return pool.on_request_failure(name, health::FailureKind::kConnect, now);
      case 9: return pool.on_request_success(name, now);
      case 10: return pool.on_first_byte(name, now);
      case 11: return pool.on_probe(name, probe(kRefused), now);
      case 12: return pool.on_probe(name, probe(kNotReady), now);
      default: return pool.on_probe(name, probe(kReady, static_cast<std::uint32_t>(drawn / 16 % 9)), now);
    }
  }

  static constexpr PoolOptions kAlways{.publish_interval = milliseconds{0}, .refresh_interval = milliseconds{0}};
  Rng rng_;
  ManualClock clock_;
  Pool watched_{kAlways};
  Pool asked_{kAlways};
  std::vector<std::pair<std::shared_ptr<const PoolView>, std::vector<std::string>>> held_;
};

TEST(PoolView, SaysWhatACopyWouldWhateverHappensAndWhoeverReadsOldOnes) {
  const char* given = std::getenv("LLMD_SEED");
  const std::uint64_t first = given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
  for (std::uint64_t seed = first; seed < first + (given == nullptr ? 40 : 1); ++seed) {
    SCOPED_TRACE(fmt::format("replay: LLMD_SEED={}", seed));
    TwoPools pools{seed};
    for (int step = 0; step < 300; ++step) {
      pools.step();
      pools.compare();
      if (HasFailure()) return;
    }
  }
}

TEST(PoolView, TheNextOneAvoidsWhoeverMayNoLongerServeWhateverTheInterval) {
  ManualClock clock;
  const auto ready = probe(Probe::Readiness::kReady);
  struct Case {
    const char* name;
    void (*happens)(Pool& pool, TimePoint now);
    EndpointHealth health;
  };
  const Case cases[] = {
      {"a connection is refused",
       [](Pool& pool, TimePoint now) { pool.on_request_failure("a", health::FailureKind::kConnect, now); }, kDown},
      {"it says that it drains",
       [](Pool& pool, TimePoint now) { pool.on_probe("a", probe(Probe::Readiness::kNotReady), now); }, kDraining},
      {"we drain it", [](Pool& pool, TimePoint /*now*/) { pool.drain("a"); }, kDraining},
      {"it restarts", [](Pool& pool, TimePoint /*now*/) { pool.restart("a"); }, kDraining},
  };
  for (const Case& each : cases) {
    Pool pool{{.publish_interval = seconds{10}, .refresh_interval = seconds{10}}};
    pool.set_endpoints({endpoint("a"), endpoint("b")}, clock.now());
    pool.on_probe("a", ready, clock.now());
    ASSERT_EQ(pool.view(clock.now())->snapshot.endpoints[0].health, kReady) << each.name;
    pool.on_probe("b", ready, clock.now());
    EXPECT_EQ(pool.view(clock.now())->snapshot.endpoints[1].health, kUnknown) << "good news wait for the interval";
    each.happens(pool, clock.now());
    EXPECT_EQ(pool.view(clock.now())->snapshot.endpoints[0].health, each.health) << each.name;
  }
  Pool pool{{.publish_interval = seconds{10}, .refresh_interval = seconds{10}}};
  pool.set_endpoints({endpoint("a"), endpoint("b")}, clock.now());
  ASSERT_EQ(pool.view(clock.now())->snapshot.endpoints.size(), 2U);
  pool.remove("a");
  EXPECT_EQ(pool.view(clock.now())->snapshot.endpoints.size(), 1U);
  pool.set_endpoints({endpoint("c")}, clock.now());
  EXPECT_EQ(pool.view(clock.now())->snapshot.endpoints.at(0).endpoint->name, "c");
}

TEST(PoolView, APauseOfABreakerEndsWithTimeAlone) {
  ManualClock clock;
  Pool pool{{}};
  pool.set_endpoints({endpoint("a")}, clock.now());
  for (int i = 0; i < 3; ++i) pool.on_request_failure("a", health::FailureKind::kServerError, clock.now());
  EXPECT_EQ(pool.view(clock.now())->snapshot.endpoints[0].health, kDown);
  clock.advance(milliseconds{999});
  EXPECT_EQ(pool.view(clock.now())->snapshot.endpoints[0].health, kDown);
  clock.advance(milliseconds{101});  // the pause, and as old as a view may be
  EXPECT_EQ(pool.view(clock.now())->snapshot.endpoints[0].health, kProbing);
}

}  // namespace
}  // namespace llmd::pool
