#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Random order without replacement, the chance proportional to the total (A-Res: Efraimidis and Spirakis, "Weighted
/// random sampling with a reservoir", 2006). A total of 0 or less comes after all others; if all are, the order is
/// uniform.
class WeightedRandomPicker final : public Picker {
 public:
  static const PluginSpec kSpec;
  explicit WeightedRandomPicker(std::uint32_t endpoints_max) noexcept : endpoints_max_{endpoints_max} {}
  void rank(std::span<const float> totals, Rng& rng, std::span<PickKey> keys) const noexcept override;
  [[nodiscard]] std::uint32_t endpoints_max() const noexcept override { return endpoints_max_; }

 private:
  std::uint32_t endpoints_max_;
};

}  // namespace llmd::scheduling
