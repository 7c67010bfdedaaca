#pragma once

#include "scheduling/plugin_spec.h"
#include "scheduling/scorers/load_forecasts.h"

namespace llmd::scheduling {

/// Prefers endpoints that will have little to do some seconds from now, when the request is still there: the forecast
/// of what is in flight at that time, moved by what was sent and has ended since the last sample, so that requests
/// between two samples do not herd. (most - n) / (most - least) among the candidates, 1 if all are equal. Without
/// memory it is what is in flight now.
class LoadForecastScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  explicit LoadForecastScorer(const LoadForecasts::Options& options) noexcept : options_{options} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kInflight; }
  [[nodiscard]] bool has_fixed_value() const noexcept override { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override;
  [[nodiscard]] std::unique_ptr<PluginMemory> make_memory() const override;
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  LoadForecasts::Options options_;
};

}  // namespace llmd::scheduling
