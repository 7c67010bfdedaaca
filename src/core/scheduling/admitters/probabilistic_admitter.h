#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Refuses requests of negative priority by chance: with the probability min(1, k * saturation ^ power), where
/// saturation is the mean over the endpoints of max(waiting / waiting_full, KV use / kv_usage_full), 1 for one without
/// data.
class ProbabilisticAdmitter final : public Admitter {
 public:
  static const PluginSpec kSpec;
  struct Options {  // all more than 0
    float waiting_full = 5;
    float kv_usage_full = 0.8F;
    double power = 5;  // higher: less is refused at low load, and the rise is steeper
    double k = 300;    // higher: refuses earlier
  };
  explicit ProbabilisticAdmitter(Options options) noexcept : options_{options} {}
  [[nodiscard]] const char* refuses(const PluginInput& input,
                                    std::span<const EndpointIndex> candidates) const noexcept override;
  /// How likely it refuses a request of negative priority.
  [[nodiscard]] double probability(const PluginInput& input, std::span<const EndpointIndex> candidates) const noexcept;

 private:
  Options options_;
};

}  // namespace llmd::scheduling
