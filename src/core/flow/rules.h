#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "flow/config.h"
#include "flow/fairness/fairness_index.h"
#include "flow/limits/usage_limit_policy.h"
#include "flow/ordering/ordering_policy.h"

namespace llmd::flow {

/// A policy that was made, and what of: equal texts mean that it decides alike.
template <class P>
struct Made {
  std::shared_ptr<P> policy;
  std::string signature;
};

/// What one band goes by.
struct BandRules {
  std::uint64_t bytes_max = 0;
  std::uint64_t requests_max = 0;
  Made<const FairnessPolicy> fairness;
  Made<const OrderingPolicy> ordering;

  [[nodiscard]] bool orders_like(const BandRules& other) const noexcept {
    return fairness.signature == other.fairness.signature && ordering.signature == other.ordering.signature;
  }
};

struct ListedBand {
  std::int32_t priority = 0;
  BandRules rules;
};

/// A FlowConfig turned into objects: what a FlowController goes by.
struct FlowRules {
  std::uint64_t bytes_max = 0;     // 0: no limit
  std::uint64_t requests_max = 0;  // 0: no limit
  Duration ttl{};                  // 0: for ever
  Duration ttl_no_endpoint{};
  Duration lower_band_patience{};  // 0: a lower band may wait for ever
  std::vector<ListedBand> bands;   // highest first
  BandRules other_band;            // of priorities that are not listed
  BandRules other_negative_band;
  std::shared_ptr<UsageLimitPolicy> usage_limit;
};

/// Error kConfigInvalid: a policy that is not configured, of another kind, or with wrong parameters.
[[nodiscard]] Result<FlowRules> make_rules(const FlowConfig& config);

}  // namespace llmd::flow
