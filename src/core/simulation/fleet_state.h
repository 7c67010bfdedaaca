#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "model/latency_basis.h"
#include "simulation/engine.h"
#include "simulation/policy.h"
#include "simulation/workload.h"

/// What a simulated fleet is made of while it runs: only for fleet.cpp.
namespace llmd::simulation {

enum class EventKind : std::uint8_t {
  kArrival,
  kSubmit,
  kStepEnd,
  kTransferred,
  kScrape,
  kReadings,
  kFault,
  kServes,
  kFlow,
  kSample
};

struct Event {
  TimePoint at;
  std::uint64_t order;  // of equals the first made comes first
  EventKind kind;
  std::uint32_t endpoint;  // or the fault's place, or the request's attempt
  std::uint64_t request;   // or the endpoint's life
};

struct Later {
  bool operator()(const Event& a, const Event& b) const noexcept {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }
};

/// A request from its arrival to its end.
struct Active {
  std::shared_ptr<const SimRequest> request;
  TimePoint arrived{};
  TimePoint dispatched{};  // decided on for the first time: after it was held back
  TimePoint prefilled{};   // its prefill leg had ended
  TimePoint first_token{};
  PolicyChoice choice;
  LatencyBasis expected;  // at that endpoint, when it was sent there
  TimePoint sent_at{};    // there
  std::uint32_t attempts = 0;
  std::uint32_t output_tokens = 1;  // that it gets
  std::uint32_t cached_tokens = 0;
  std::uint64_t live_tokens = 0;           // counted against each leg's endpoint until the first token
  std::uint32_t prefill_at = kNoEndpoint;  // where a first token is waited for; kNoEndpoint: it has come
  bool computing = false;                  // its prompt counts as prefill there
  bool prefilling = false;                 // the leg under way is the prefill leg
  bool prefilled_apart = false;
};

struct EndpointRun {
  std::unique_ptr<SimEngine> engine;
  std::uint64_t life = 0;  // a step of a former life no longer counts
  bool stepping = false;
  bool alive = true;
  double slow = 1;
  TimePoint paused_until{};
  TimePoint step_began{};
  TimePoint step_ends{};
  TimePoint looked_at{};  // when the event of its end comes; others are stale
  Duration busy{};        // in steps that have ended
  Duration busy_sampled{};
};

/// What a scrape read, on its way to the policy.
struct Readings {
  TimePoint at{};
  std::vector<std::optional<EngineLoadView>> loads;  // nothing: it did not answer
};

}  // namespace llmd::simulation
