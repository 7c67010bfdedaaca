#pragma once

#include <cstdint>
#include <optional>

#include "simulation/workload.h"
#include "simulation/workloads/arrivals.h"
#include "simulation/workloads/generator.h"

namespace llmd::simulation {

struct UniformOptions {
  GeneratorOptions common{};
  std::uint32_t prompt_tokens = 512;  // at least 1
  std::uint32_t output_tokens = 64;   // at least 1
};

/// Requests of one size that share nothing: for benchmarks of speed, and as the case where routing by prefix cannot
/// help.
class UniformWorkload final : public Workload {
 public:
  explicit UniformWorkload(const UniformOptions& options);
  [[nodiscard]] std::optional<SimRequest> next() override;
  [[nodiscard]] std::uint32_t block_tokens() const noexcept override { return generator_.block_tokens(); }

 private:
  Generator generator_;
  ArrivalProcess arrivals_;
  std::uint32_t prompt_tokens_;
  std::uint32_t output_tokens_;
};

}  // namespace llmd::simulation
