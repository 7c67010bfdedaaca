#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "health/outlier_member.h"
#include "health/outlier_options.h"
#include "health/robust_statistics.h"

namespace llmd::health {

/// Compares endpoints with their peers and moves their shares. Slow: the median of an endpoint's latencies, as ratios
/// to what its class was expected to do with the same load, lies far above the medians of its peers (time per token;
/// time to the first only where answers have no other). Failing: more of its requests fail than chance allows at its
/// peers' rate. What all of a class have in common is no outlier's.
///
/// Never more than `reduced_share_max` of a class is below full share, the worst first; a class that shrinks gets the
/// least bad back at once. Not thread-safe. A look costs about 1 us an endpoint.
class OutlierDetector {
 public:
  explicit OutlierDetector(OutlierOptions options) : options_{options} {}

  [[nodiscard]] const OutlierOptions& options() const noexcept { return options_; }
  [[nodiscard]] bool due(TimePoint now) const noexcept {
    return options_.enabled && now - looked_at_ >= options_.interval;
  }
  /// Looks at all endpoints. True if a share has changed.
  bool look(std::span<OutlierMember* const> members, TimePoint now);

 private:
  /// The peers' values of one kind, each from an endpoint with full share.
  struct Baseline {
    std::vector<float> values;                 // one an endpoint that is a peer
    std::vector<const OutlierMember*> owners;  // in the same order
    RobustSpread all{};
  };
  using Group = std::span<OutlierMember* const>;

  bool look_at_class(Group group, TimePoint now);
  void measure(Group group, TimePoint now);
  [[nodiscard]] OutlierFinding judge(const OutlierMember& member, const OutlierMember::Question& question,
                                     TimePoint now);
  [[nodiscard]] OutlierFinding judge_latency(const OutlierMember& member, const OutlierMember::Question& question,
                                             LatencyKind kind);
  [[nodiscard]] OutlierFinding judge_failures(const OutlierMember& member, const OutlierMember::Question& question,
                                              TimePoint now);
  /// Of the others; nothing if they are too few.
  [[nodiscard]] std::optional<RobustSpread> peers_of(const OutlierMember& member, const Baseline& baseline);
  bool release_surplus(Group group, std::size_t allowed, TimePoint now);

  const OutlierOptions options_;
  TimePoint looked_at_{};
  std::vector<OutlierMember*> by_class_;  // scratch, as are those below
  Baseline latencies_[kLatencyKinds];
  Baseline failure_shares_;
  std::vector<float> peers_;
  std::vector<std::pair<OutlierMember*, OutlierFinding>> accused_;
};

}  // namespace llmd::health
