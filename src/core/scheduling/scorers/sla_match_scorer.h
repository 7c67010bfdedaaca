#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints of the service class that the client asks for: 1 if the endpoint's label equals the request's
/// header, 0 if it differs, 0.5 if the endpoint has no label or the request no header, for then either suits. Blanks at
/// the ends do not count, case does.
class SlaMatchScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  struct Options {
    std::string label;   // of the endpoint
    std::string header;  // of the request, in lower case
  };
  explicit SlaMatchScorer(Options options) noexcept : options_{std::move(options)} {}
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
