#pragma once

#include "simulation/policies/candidates.h"

namespace llmd::simulation {

/// Any endpoint, each as likely as the others. The floor that every other policy must beat.
class RandomPolicy final : public Policy {
 public:
  [[nodiscard]] PolicyChoice choose(const PolicyInput& input) override;

 private:
  Candidates candidates_;
};

}  // namespace llmd::simulation
