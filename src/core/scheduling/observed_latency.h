#pragma once

#include <cstdint>
#include <string_view>

namespace llmd::scheduling {

/// What an endpoint gave to a request that it streamed.
struct ObservedLatency {
  std::string_view endpoint;
  float ttft_ms = 0;     // 0: not to be learned from
  float prefill_ms = 0;  // of it, in a leg elsewhere; 0: there was none
  float tpot_ms = 0;     // 0: the same
  std::uint32_t cached_tokens = 0;
  std::uint32_t output_tokens = 0;
};

}  // namespace llmd::scheduling
