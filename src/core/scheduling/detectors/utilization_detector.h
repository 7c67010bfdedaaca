#pragma once

#include "scheduling/detectors/engine_load.h"
#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Saturation by what engines tell: the mean over the endpoints of max(waiting / waiting_full, KV use / kv_usage_full),
/// where an endpoint without data counts as full, so that a failed scrape stops dispatch rather than flooding engines
/// unseen. As a filter it keeps endpoints with data that are below both limits, each times 1 + headroom; all if there
/// is none.
class UtilizationDetector final : public SaturationDetector {
 public:
  static const PluginSpec kSpec;
  struct Options {
    float waiting_full = 5;                // requests, more than 0
    float kv_usage_full = 0.8F;            // more than 0, at most 1
    Duration age_max = milliseconds{200};  // older readings are none
    float headroom = 0;                    // share that a single endpoint may have beyond the limits
  };
  explicit UtilizationDetector(Options options) noexcept : options_{options} {}
  [[nodiscard]] float saturation(const PluginInput& input,
                                 std::span<const EndpointIndex> endpoints) const noexcept override;
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;

 private:
  [[nodiscard]] float waiting_limit() const noexcept { return options_.waiting_full * (1 + options_.headroom); }
  [[nodiscard]] float kv_usage_limit() const noexcept { return options_.kv_usage_full * (1 + options_.headroom); }

  Options options_;
};

}  // namespace llmd::scheduling
