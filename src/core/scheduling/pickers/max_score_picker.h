#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Highest total first; equal totals in random order.
class MaxScorePicker final : public Picker {
 public:
  static const PluginSpec kSpec;
  explicit MaxScorePicker(std::uint32_t endpoints_max) noexcept : endpoints_max_{endpoints_max} {}
  void rank(std::span<const float> totals, Rng& rng, std::span<PickKey> keys) const noexcept override;
  [[nodiscard]] std::uint32_t endpoints_max() const noexcept override { return endpoints_max_; }

 private:
  std::uint32_t endpoints_max_;
};

}  // namespace llmd::scheduling
