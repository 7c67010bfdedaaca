#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/clock.h"
#include "base/rng.h"
#include "model/endpoint.h"
#include "model/request_facts.h"
#include "pd/leg_times.h"
#include "scheduling/scheduler.h"
#include "simulation/workload.h"

namespace llmd::simulation {

/// What a policy may look at: what a gateway knows. References only: nothing is kept beyond the call.
struct PolicyInput {
  std::uint64_t id;                            // of the request, one for all its attempts
  const RequestFacts& request;                 // prefix.hashes are the names of the prompt's whole blocks
  const EndpointSnapshot& snapshot;            // of the last scrape; endpoints keep their places while they live
  std::span<const scheduling::LiveLoad> live;  // now: what was sent and has not ended
  std::uint32_t session;                       // the client's own name for it, 0: none
  std::uint32_t recorded_endpoint;             // SimRequest's: for what repeats a record
  TimePoint now;
  Rng& rng;
};

/// Places in the snapshot. `decode` is kNoEndpoint if nobody can serve.
struct PolicyChoice {
  std::uint32_t decode = kNoEndpoint;
  std::uint32_t prefill = kNoEndpoint;  // kNoEndpoint: no separate prefill leg
  std::uint32_t cached_tokens = 0;      // of the prompt, expected at `decode`: they do not count as load
  pd::LegTimes expected{};              // for pd::RoleBalancer; all 0: nothing is expected
};

/// What became of a request, for policies that learn or count.
struct PolicyOutcome {
  std::uint64_t id = 0;
  bool failed = false;  // refused, or cut: then there are no latencies
  std::uint32_t endpoint = 0;
  bool prefilled_apart = false;
  std::uint32_t attempts = 1;
  Duration prefill{};  // of `ttft`, until the prefill leg had ended
  Duration ttft{};     // from the first decision, as a gateway counts
  Duration tpot{};     // 0 with fewer than two tokens
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_tokens = 0;
  std::uint32_t output_tokens = 0;
};

/// Chooses endpoints. One object a fleet; not thread-safe; deterministic given its Rng.
class Policy {
 public:
  Policy() = default;
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;
  virtual ~Policy() = default;

  [[nodiscard]] virtual PolicyChoice choose(const PolicyInput& input) = 0;
  /// What of the prompt the best endpoint probably has cached, in tokens, for flow control. 0 if it keeps no index.
  [[nodiscard]] virtual std::uint32_t cached_tokens(const PolicyInput& /*input*/) { return 0; }
  /// The request went where choose() said.
  virtual void sent(const PolicyInput& /*input*/, const PolicyChoice& /*choice*/) {}
  /// Once for each sent(), unless the endpoint was lost.
  virtual void finished(const PolicyOutcome& /*outcome*/, TimePoint /*now*/) {}
  /// An endpoint's KV events, for policies with a precise index: it holds the block now, or no longer.
  virtual void block_stored(std::uint32_t /*endpoint*/, std::uint64_t /*block*/) {}
  virtual void block_removed(std::uint32_t /*endpoint*/, std::uint64_t /*block*/) {}
  /// The endpoint died, or is a new process: it holds nothing.
  virtual void endpoint_lost(std::uint32_t /*endpoint*/) {}
  /// Whether choose() heeds EndpointState::traffic itself. From others the fleet hides endpoints that are not to get
  /// the request.
  [[nodiscard]] virtual bool heeds_shares() const noexcept { return false; }
  /// Whether block_stored and block_removed are wanted.
  [[nodiscard]] virtual bool wants_block_events() const noexcept { return false; }
};

}  // namespace llmd::simulation
