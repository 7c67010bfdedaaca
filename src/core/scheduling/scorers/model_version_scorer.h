#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints that run the wanted version of the model: 1 if the endpoint's label equals it, 0 if it differs, no
/// data without the label. The request's header says which is wanted, else the configuration; if neither does, there is
/// no data for all. Blanks at the ends do not count, case does.
class ModelVersionScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  struct Options {
    std::string version;  // wanted by requests without the header; empty: none
    std::string label;    // of the endpoint
    std::string header;   // of the request, in lower case
  };
  explicit ModelVersionScorer(Options options) noexcept;
  [[nodiscard]] MetricSet consumes() const noexcept override { return {}; }
  [[nodiscard]] bool has_fixed_value() const noexcept override { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override;
  void headers_read(std::vector<std::string>& names) const override { names.push_back(options_.header); }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  Options options_;
  std::uint64_t version_id_;
};

}  // namespace llmd::scheduling
