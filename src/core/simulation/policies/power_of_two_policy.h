#pragma once

#include "simulation/policies/candidates.h"

namespace llmd::simulation {

/// Of two different endpoints at random the one with fewer requests in flight from here (Mitzenmacher, "The Power of
/// Two Choices in Randomized Load Balancing", IEEE TPDS 12(10), 2001). Equal: the one drawn first.
class PowerOfTwoPolicy final : public Policy {
 public:
  [[nodiscard]] PolicyChoice choose(const PolicyInput& input) override;

 private:
  Candidates candidates_;
};

}  // namespace llmd::simulation
