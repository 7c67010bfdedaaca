#pragma once

#include "scheduling/latency_objectives.h"
#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Keeps the endpoints that are predicted to meet the request's latency objectives. The others, among them those
/// without a prediction, are kept instead if there are no such endpoints, and with the probability `exploration`, so
/// that an overloaded endpoint is tried again. Keeps all if nothing is predicted or asked.
class SloHeadroomTierFilter final : public Filter {
 public:
  static const PluginSpec kSpec;
  struct Options {
    double exploration = 0.01;  // 0..1
    LatencyRules rules{};
  };
  explicit SloHeadroomTierFilter(Options options) : options_{std::move(options)} {}
  [[nodiscard]] bool has_fixed_value() const noexcept override { return !options_.rules.role_label.empty(); }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override {
    return prefill_mark(options_.rules, endpoint);
  }
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;

 private:
  [[nodiscard]] bool positive(const PluginInput& input, EndpointIndex endpoint) const noexcept;

  Options options_;
};

}  // namespace llmd::scheduling
