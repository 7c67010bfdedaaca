#pragma once

#include <utility>

#include "scheduling/latency_objectives.h"

namespace llmd::scheduling {

/// Prefers endpoints by how the predicted latencies meet the request's objectives (LatencyHeadroom).
///
/// Only one group of the candidates is scored, the others score 0: those that meet both objectives, and those without a
/// prediction, whose headroom counts as 0. If there are none: those where nothing of ours is in flight; else those that
/// miss only TPOT; else those that miss only TTFT; else those that miss both.
/// In the group each dimension's |headroom| is stretched to 0..1 (0.5 if all are equal; a dimension in which all are
/// equal counts only if both are). With c the weighted sum of both, the score is (floor(100 * (1 - c)) + 1) / 100, so
/// that the endpoint nearest to the objectives wins and room elsewhere is saved for others; c instead of 1 - c with
/// `most_headroom`, unless the group misses objectives.
///
/// Without any prediction: round(100 * (k * (1 - KV usage) + q * (most - waiting) / most + p * matched share)) / 100,
/// with the composite weights k, q and p made to sum up to 1.
class LatencyScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  struct Options {
    double ttft_weight = 0.8;
    double tpot_weight = 0.2;
    bool most_headroom = false;
    double kv_weight = 1;
    double queue_weight = 1;
    double prefix_weight = 1;
  };
  LatencyScorer(LatencyRules rules, Options options) noexcept;
  [[nodiscard]] MetricSet consumes() const noexcept override;
  [[nodiscard]] bool has_fixed_value() const noexcept override { return !rules_.role_label.empty(); }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override {
    return prefill_mark(rules_, endpoint);
  }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  /// In the order in which they are scored: the first that has a member.
  enum class Group : std::uint8_t { kMet, kIdle, kMissesTpot, kMissesTtft, kMissesBoth, kNobody };
  struct Judged {
    Group group;
    LatencyHeadroom headroom;
  };
  [[nodiscard]] Judged judge(const PluginInput& input, EndpointIndex endpoint) const noexcept;
  void score_group(const PluginInput& input, Group group, std::span<const EndpointIndex> candidates,
                   std::span<float> scores) const noexcept;
  void score_composite(const PluginInput& input, std::span<const EndpointIndex> candidates,
                       std::span<float> scores) const noexcept;

  LatencyRules rules_;
  Options options_;  // the weights of each sum to 1
};

}  // namespace llmd::scheduling
