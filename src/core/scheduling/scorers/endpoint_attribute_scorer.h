#pragma once

#include <optional>
#include <utility>

#include "scheduling/endpoint_attribute.h"

namespace llmd::scheduling {

/// Prefers endpoints by any number that the data layer reads of them: (value - min) / (max - min), and 1 minus that if
/// lower is better. The range is fixed, or that of the candidates; then all score 1 if they are equal. 0 without the
/// number.
class EndpointAttributeScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  struct Range {
    double min = 0;
    double max = 1;
  };
  struct Options {
    bool lower_is_better = true;
    std::optional<Range> fixed{};  // none: the candidates' own range
  };
  EndpointAttributeScorer(EndpointAttribute attribute, Options options) noexcept
      : attribute_{std::move(attribute)}, options_{options} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kSignal; }
  [[nodiscard]] std::optional<Signal> signal() const noexcept override { return attribute_.signal(); }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  [[nodiscard]] Range range_of(const PluginInput& input, std::span<const EndpointIndex> candidates) const noexcept;

  EndpointAttribute attribute_;
  Options options_;
};

}  // namespace llmd::scheduling
