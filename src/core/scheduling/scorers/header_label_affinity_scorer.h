#pragma once

#include <string>
#include <utility>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints whose label has the value of a request header: 1 if they are equal, else 0. 0 for all without the
/// header.
class HeaderLabelAffinityScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  struct Options {
    std::string header;  // in lower case
    std::string label;
  };
  explicit HeaderLabelAffinityScorer(Options options) noexcept : options_{std::move(options)} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return {}; }
  [[nodiscard]] bool has_fixed_value() const noexcept override { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override;
  void headers_read(std::vector<std::string>& names) const override { names.push_back(options_.header); }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  Options options_;
};

}  // namespace llmd::scheduling
