#pragma once

#include "simulation/policies/least_requests_policy.h"

namespace llmd::simulation {

/// Where the gateway that recorded the workload had sent each request: how true the twin's engines are shows without
/// what other decisions do. Where the record names no endpoint, or one that takes no requests here: least requests.
class RecordedPolicy final : public Policy {
 public:
  [[nodiscard]] PolicyChoice choose(const PolicyInput& input) override;
  /// The record holds even against the fleet's outlier detection: the gateway's own has had its say in it.
  [[nodiscard]] bool heeds_shares() const noexcept override { return true; }

 private:
  LeastRequestsPolicy otherwise_;
};

}  // namespace llmd::simulation
