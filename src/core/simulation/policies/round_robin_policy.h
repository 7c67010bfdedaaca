#pragma once

#include <cstdint>

#include "simulation/policy.h"

namespace llmd::simulation {

/// The endpoint after the one of the last request, in the snapshot's order and around its end.
class RoundRobinPolicy final : public Policy {
 public:
  [[nodiscard]] PolicyChoice choose(const PolicyInput& input) override;

 private:
  std::uint32_t next_ = 0;  // where the search begins
};

}  // namespace llmd::simulation
