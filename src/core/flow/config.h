#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scheduling/config.h"

namespace llmd::flow {

/// One priority band: what may wait in it, and by which rules it empties.
struct BandConfig {
  std::int32_t priority = 0;                               // higher is served first; negative may be shed
  std::uint64_t bytes_max = 1'000'000'000;                 // of the bodies of waiting requests
  std::uint64_t requests_max = 5'000;                      // that wait
  std::string fairness = "global-strict-fairness-policy";  // a plugin's name
  std::string ordering = "fcfs-ordering-policy";
};

/// The flow control part of an EndpointPickerConfig, typed, with llm-d's defaults.
struct FlowConfig {
  bool enabled = false;            // feature gate flowControl; without it negative priorities are shed at saturation
  std::uint64_t bytes_max = 0;     // over all bands; 0: no limit
  std::uint64_t requests_max = 0;  // over all bands; 0: no limit
  std::chrono::milliseconds ttl{60'000};                       // a request waits at most so long; 0: for ever
  std::optional<std::chrono::milliseconds> ttl_no_endpoint{};  // while there is no endpoint; unset: `ttl`
  std::optional<BandConfig> default_band{};                    // template of bands that are not listed
  std::optional<BandConfig> default_negative_band{};           // the same, of negative priorities
  std::vector<BandConfig> bands{};
  std::string usage_limit = "static-usage-limit-policy";
  std::string saturation_detector = "utilization-detector";
  bool eviction = false;  // sheddable requests in flight make room for others
  /// A band that waits so long without being served gets one request through between two of higher bands. Ours: in
  /// llm-d a lower band waits for ever. 0: the same here.
  std::chrono::milliseconds lower_band_patience{5'000};
  std::vector<scheduling::PluginInstance> policies{};
};

}  // namespace llmd::flow
