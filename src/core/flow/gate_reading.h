#pragma once

#include <cstdint>

namespace llmd::flow {

/// How full the endpoints are, as a SaturationGate reads it.
struct GateReading {
  float saturation = 1;     // 1: full; may be more
  float per_request = 0;    // what one more request adds at most
  bool pool_empty = false;  // nothing serves: other times to live and other answers
  std::uint32_t stale = 0;  // endpoints judged by what was sent to them, as their metrics are too old or missing
  float prefill = -1;       // of those that prefill; negative: there are none
  float decode = -1;
};

}  // namespace llmd::flow
