#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Less is better: (most - value) / (most - least) among the candidates, 1 if all are equal. The value is the signal;
/// if that is missing or too old, the number in the endpoint's label, which an operator sets; no data if there is
/// neither. Numbers that are negative or not finite count as missing.
class SignalOrLabelScorer : public Scorer {
 public:
  SignalOrLabelScorer(Signal signal, std::string label) noexcept : signal_{signal}, label_{std::move(label)} {}
  [[nodiscard]] MetricSet consumes() const noexcept final { return Metric::kSignal; }
  [[nodiscard]] std::optional<Signal> signal() const noexcept final { return signal_; }
  [[nodiscard]] bool has_fixed_value() const noexcept final { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const final;
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept final;

 private:
  Signal signal_;
  std::string label_;
};

}  // namespace llmd::scheduling
