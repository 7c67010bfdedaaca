#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Spreads prompts that no candidate has cached: endpoints that never got such a prompt come first, in the snapshot's
/// order, then those that got one the longest ago. Score of rank r of n candidates: 1 - r / (n - 1); 1 if there is one
/// candidate. 0.5 for all if any candidate has a block of the prompt.
///
/// Remembers the last cold prompt of at most `endpoints_max` endpoints, the decode and the prefill endpoint of each
/// request: about 100 bytes each. A decision costs O(candidates + endpoints remembered) while others wait.
class NoHitLruScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  /// Pre: endpoints_max > 0.
  explicit NoHitLruScorer(std::size_t endpoints_max) noexcept : endpoints_max_{endpoints_max} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kPrefixMatch; }
  [[nodiscard]] bool has_fixed_value() const noexcept override { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override;
  [[nodiscard]] std::unique_ptr<PluginMemory> make_memory() const override;
  void sent(const SentRequest& sent, PluginMemory& memory) const override;
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  std::size_t endpoints_max_;
};

}  // namespace llmd::scheduling
