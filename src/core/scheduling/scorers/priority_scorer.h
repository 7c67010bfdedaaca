#pragma once

#include <span>
#include <string>
#include <utility>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Keeps endpoints for requests of high priority. An endpoint whose label gives a whole number is reserved for requests
/// of at least that priority:
///   1             a reserved endpoint that the request may use
///   below_score   a reserved endpoint that it may not use
///   open_score    an endpoint without the label, if the request may use a reserved candidate: it leaves the open ones
///                 to those who have nothing else
///   1             an endpoint without the label, if it may not.
/// A score, not a filter: a request may still land on an endpoint that is not for it if everything else speaks for it.
/// A label that is no whole number counts as none.
class PriorityScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  struct Options {
    std::string label;        // of the endpoint
    float below_score = 0;    // 0..open_score
    float open_score = 0.5F;  // below_score..1
  };
  explicit PriorityScorer(Options options) noexcept : options_{std::move(options)} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return {}; }
  [[nodiscard]] bool has_fixed_value() const noexcept override { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override;
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  Options options_;
};

}  // namespace llmd::scheduling
