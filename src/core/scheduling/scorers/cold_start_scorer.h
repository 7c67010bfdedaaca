#pragma once

#include <optional>
#include <span>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Spares endpoints that have just become ready, whose caches and kernels are cold: floor + (1 - floor) * min(1, ready
/// / warmup), both in seconds, so traffic shifts to them bit by bit. `ready` is what the reading says plus the
/// reading's age: an endpoint stays ready until another reading says otherwise, so none is too old.
class ColdStartScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  struct Options {
    float warmup_seconds = 60.0F;  // 0: all score 1
    float floor = 0.1F;            // 0..1; the score in the first moment
  };
  explicit ColdStartScorer(Options options) noexcept : options_{options} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kSignal; }
  [[nodiscard]] std::optional<Signal> signal() const noexcept override { return Signal::kReadySeconds; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  Options options_;
};

}  // namespace llmd::scheduling
