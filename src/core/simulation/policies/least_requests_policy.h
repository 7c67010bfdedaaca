#pragma once

#include "simulation/policy.h"

namespace llmd::simulation {

/// The endpoint with the fewest requests in flight from here; one of them at random if there are several.
class LeastRequestsPolicy final : public Policy {
 public:
  [[nodiscard]] PolicyChoice choose(const PolicyInput& input) override;
};

}  // namespace llmd::simulation
