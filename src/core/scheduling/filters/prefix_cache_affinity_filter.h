#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Narrows the candidates to the sticky ones: those that probably hold at least `ratio_min` of the prompt's blocks.
/// Keeps all if none is sticky, with the probability `exploration`, and where the fastest sticky one needs more than
/// `penalty_ms_max` longer to the first token than the fastest of the others. That time is the predicted one, or what
/// is in flight at the endpoint, in tokens, at the peak speed of prefill.
class PrefixCacheAffinityFilter final : public Filter {
 public:
  static const PluginSpec kSpec;
  struct Options {
    double ratio_min = 0.8;          // at most 1; up to 0: keeps all
    double exploration = 0;          // 0..1
    double penalty_ms_max = 18'000;  // 0: sticks whatever the load
    double tokens_per_s = 15'928;    // more than 0 unless predicted, or without a penalty
    bool predicted = false;
  };
  explicit PrefixCacheAffinityFilter(Options options) noexcept : options_{options} {}
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;

 private:
  [[nodiscard]] bool keeps_all(const PluginInput& input, std::span<const EndpointIndex> candidates) const noexcept;
  [[nodiscard]] double ttft_ms(const PluginInput& input, EndpointIndex endpoint) const noexcept;

  Options options_;
};

}  // namespace llmd::scheduling
