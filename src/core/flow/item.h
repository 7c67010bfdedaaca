#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace llmd::flow {

/// The flow of a request that names none, as in llm-d.
inline constexpr std::string_view kDefaultFairnessId = "default-flow";

/// A request that asks to be let through: what flow control may know of it.
struct FlowItem {
  std::uint64_t id = 0;            // the host's name for it: comes back in the Departure
  std::string_view fairness_id{};  // empty: kDefaultFairnessId. Read by enqueue() only
  std::int32_t priority = 0;       // higher first
  std::uint64_t bytes = 0;         // of its body
  std::uint32_t prompt_tokens = 0;
  std::uint32_t uncached_tokens = 0;  // of these, what the best endpoint would have to compute
  TimePoint received{};               // from the client; not after `now`
  std::optional<Duration> ttft_objective{};
};

/// A waiting request's name inside flow control. Never given twice. Default: none.
struct Ticket {
  std::uint32_t index = UINT32_MAX;
  std::uint32_t generation = 0;
  friend bool operator==(Ticket, Ticket) = default;
};

/// How a request's stay ended, as llm-d names it.
enum class Outcome : std::uint8_t {
  kDispatched,
  kRejectedCapacity,     // 429 rejected-saturated: never waited
  kRejectedNoEndpoints,  // 503 rejected-no-endpoints: full, and nothing serves
  kEvictedTtl,           // 429 rejected-ttl-expired; 503 rejected-no-endpoints if nothing serves by then
  kEvictedNoEndpoints,   // 503 rejected-no-endpoints: its time ran out while nothing served
  kEvictedCancelled,     // 503 rejected-context-cancelled: the client left
  kEvictedShuttingDown,  // 503 rejected-shutting-down
};

/// llm-d's name, the label `outcome` of its metrics: "Dispatched", "RejectedCapacity", …
[[nodiscard]] std::string_view outcome_name(Outcome outcome) noexcept;
/// llm-d's x-llm-d-request-dropped-reason; empty for kDispatched.
[[nodiscard]] std::string_view dropped_reason(Outcome outcome) noexcept;
/// What the client is answered: 429 or 503. Pre: not kDispatched.
[[nodiscard]] int outcome_status(Outcome outcome) noexcept;

/// A request leaves the queue.
struct Departure {
  std::uint64_t id = 0;
  Outcome outcome = Outcome::kDispatched;
  Duration waited{};
  std::int32_t band = 0;                     // the priority of the band that it waited in
  std::uint32_t retry_after_s = 1;           // of one that was not dispatched
  std::uint32_t output_tokens_expected = 0;  // of one that was: what its flow was charged for; give it to finish()
};

/// Why a request may not even wait. `limit` is one of the configuration's.
struct Rejection {
  Outcome outcome = Outcome::kRejectedCapacity;
  std::string_view limit{};  // "maxBytes", "maxRequests", or the same of a band
  std::uint64_t observed = 0;
  std::uint64_t allowed = 0;
  std::uint32_t retry_after_s = 1;
};

/// A waiting request's place among others of its band, smaller first: the ordering policy's key, then arrival.
struct OrderKey {
  std::int64_t order = 0;
  std::uint64_t sequence = 0;
  friend constexpr auto operator<=>(const OrderKey&, const OrderKey&) = default;
};

}  // namespace llmd::flow
