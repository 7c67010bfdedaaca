#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "scheduling/plugin.h"

namespace llmd::scheduling {

/// What an engine tells of its load.
struct EngineLoad {
  float waiting = 0;   // requests
  float kv_usage = 0;  // 0..1

  /// The roofline: full if either is.
  [[nodiscard]] float ratio(float waiting_full, float kv_usage_full) const noexcept {
    return std::max(waiting / waiting_full, kv_usage / kv_usage_full);
  }
};

/// No value: it tells neither, or one of what it tells is older than `age_max`. What it never told counts as 0.
[[nodiscard]] inline std::optional<EngineLoad> engine_load(const PluginInput& input, EndpointIndex endpoint,
                                                           Duration age_max) noexcept {
  const EndpointState& state = input.endpoints[endpoint];
  const auto stale = [&](const auto& reading) { return reading.value && input.now - reading.at > age_max; };
  if (!state.waiting_requests.value && !state.kv_usage.value) return std::nullopt;
  if (stale(state.waiting_requests) || stale(state.kv_usage)) return std::nullopt;
  return EngineLoad{.waiting = static_cast<float>(state.waiting_requests.value.value_or(0)),
                    .kv_usage = state.kv_usage.value.value_or(0.0F)};
}

}  // namespace llmd::scheduling
