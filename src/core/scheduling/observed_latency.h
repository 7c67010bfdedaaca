#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "model/decision.h"

namespace llmd::scheduling {

/// What was seen by what the endpoint's class was expected to do with the same load. 0: nothing can be said.
struct LatencyRatios {
  float ttft = 0;
  float tpot = 0;
};

/// What an endpoint gave to a request that it streamed.
struct ObservedLatency {
  std::string_view endpoint;
  float ttft_ms = 0;     // 0: not to be learned from
  float prefill_ms = 0;  // of it, in a leg elsewhere; 0: there was none
  float tpot_ms = 0;     // 0: the same
  std::uint32_t cached_tokens = 0;
  std::uint32_t output_tokens = 0;
  LatencyRatios ratios{};          // set by who learned from it
  LatencyRatios prefill_ratios{};  // the same, of the leg elsewhere
};

/// The times of a request that are its endpoint's own: nothing of an answer in one piece, of a second attempt, and of
/// one that failed. What it says refers to `outcome`.
[[nodiscard]] std::optional<ObservedLatency> observed_latency(const Decision& decision, const Outcome& outcome);

}  // namespace llmd::scheduling
