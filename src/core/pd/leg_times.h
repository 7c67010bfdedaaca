#pragma once

#include "model/decision.h"
#include "model/request_facts.h"

namespace llmd::pd {

/// What is expected of a request as it is sent, each time held against what it hopes for. Known before a queue has
/// grown: what is seen when answers end comes too late. 0: nothing is expected.
struct LegTimes {
  float prefill = 0;      // prefill leg / TTFT objective
  float first_token = 0;  // at the decode endpoint: from the end of the prefill leg, or from the start / TTFT objective
  float token = 0;        // TPOT / TPOT objective
};

/// Objectives in ms of requests that bring none.
struct DefaultObjectives {
  float ttft_ms = 2'000;
  float tpot_ms = 50;
};

/// By the predictions that the decision rests on. All 0 if it has none.
[[nodiscard]] LegTimes expected_legs(const Decision& decision, const RequestFacts& request,
                                     const DefaultObjectives& objectives) noexcept;

}  // namespace llmd::pd
