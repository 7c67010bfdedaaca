#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "simulation/workload.h"

namespace llmd::simulation {

/// Another workload with the arrivals of first turns multiplied by a factor: below 1 more load, above 1 less. How long
/// users think stays as it is.
class ScaledArrivals final : public Workload {
 public:
  /// Pre: `workload` is not null. A factor below 0, or NaN, counts as 0: everything arrives at once.
  ScaledArrivals(std::unique_ptr<Workload> workload, double factor) noexcept;
  [[nodiscard]] std::optional<SimRequest> next() override;
  [[nodiscard]] std::uint32_t block_tokens() const noexcept override { return workload_->block_tokens(); }

 private:
  std::unique_ptr<Workload> workload_;
  double factor_;
};

}  // namespace llmd::simulation
