#pragma once

#include <cstdint>

#include "scheduling/plugin_spec.h"
#include "scheduling/prediction/expected_cost.h"

namespace llmd::scheduling {

/// Disaggregates when that costs less (ExpectedCost), and chooses prefill and decode endpoint together, with the link
/// between them: of the best of both profiles the pair or the single endpoint of least cost. Until enough legs of both
/// kinds were seen, a threshold decides, and once one way is known some requests go the other, so that it is seen, too;
/// later very few, so that what changed is noticed.
///
/// Of the StageDecision the numbers are costs in thousandths: `observed` of the cheapest pair, `limit` of the cheapest
/// single endpoint; with the threshold they are tokens, as prefix-based-pd-decider's.
class ExpectedLatencyPdDecider final : public Decider {
 public:
  static const PluginSpec kSpec;
  struct Options {
    CostOptions cost{};
    std::uint32_t uncached_tokens_min = 512;  // of a prefill leg, while the model has no data
    double explore_share = 0.01;              // of the requests go the way that costs more
  };
  explicit ExpectedLatencyPdDecider(Options options) noexcept : options_{options} {}

  /// Without endpoints to compare: by the threshold.
  [[nodiscard]] StageDecision decide(const StageFacts& facts) const noexcept override;
  [[nodiscard]] bool chooses_pairs() const noexcept override { return true; }
  [[nodiscard]] PairDecision choose(const PluginInput& input,
                                    std::span<const EndpointIndex> decodes) const noexcept override;

 private:
  [[nodiscard]] PairDecision by_threshold(const PluginInput& input, EndpointIndex decode, bool here_known,
                                          bool apart_known) const noexcept;
  Options options_;
};

}  // namespace llmd::scheduling
