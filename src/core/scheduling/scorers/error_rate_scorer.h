#pragma once

#include <optional>
#include <span>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Avoids endpoints that fail requests: (1 - rate)^steepness, where rate is the share, 0..1, of failed requests of
/// late. With steepness 4 a tenth of failures scores 0.66 and half of them 0.06; with 1 the score is the share that
/// succeeds.
class ErrorRateScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  struct Options {
    float steepness = 4.0F;  // exponent; higher: few failures cost more
  };
  explicit ErrorRateScorer(Options options) noexcept : options_{options} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kSignal; }
  [[nodiscard]] std::optional<Signal> signal() const noexcept override { return Signal::kErrorRate; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  Options options_;
};

}  // namespace llmd::scheduling
