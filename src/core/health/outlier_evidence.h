#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "base/clock.h"

namespace llmd::health {

/// A request that was served, against what its endpoint's class was expected to do. A ratio of 0: nothing can be said.
struct LatencySample {
  TimePoint sent_at{};
  float ttft_ratio = 0;
  float tpot_ratio = 0;
};

enum class LatencyKind : std::uint8_t { kTtft, kTpot };
inline constexpr std::size_t kLatencyKinds = 2;

/// What an endpoint's requests of late say of it: the last 32 latencies, and how requests ended in a window. About 1
/// KiB; O(1) to add to.
class OutlierEvidence {
 public:
  static constexpr std::size_t kSamples = 32;

  void on_ended(bool failed, Duration window, TimePoint now) noexcept;
  void on_latency(const LatencySample& sample, TimePoint now) noexcept;

  /// Logarithms of the ratios of that kind, of requests sent and ended at these times or later, into `out`. Returns how
  /// many. Pre: out.size() >= kSamples.
  [[nodiscard]] std::size_t ratios(LatencyKind kind, TimePoint sent_from, TimePoint ended_from,
                                   std::span<float> out) const noexcept;

  struct Ended {
    std::uint32_t requests = 0;
    std::uint32_t failures = 0;
  };
  [[nodiscard]] Ended ended(Duration window, TimePoint now) const noexcept;
  void forget_ended() noexcept { buckets_ = {}; }

 private:
  struct Sample {
    TimePoint sent_at{};
    TimePoint ended_at{};
    std::array<float, kLatencyKinds> logs{};  // not a number: unknown
  };
  struct Bucket {
    std::int64_t index = -1;  // which slice of time it counts
    Ended ended{};
  };
  static constexpr std::size_t kBuckets = 10;
  [[nodiscard]] static std::int64_t bucket_index(Duration window, TimePoint now) noexcept;

  std::array<Sample, kSamples> samples_{};
  std::size_t written_ = 0;
  std::array<Bucket, kBuckets> buckets_{};
};

}  // namespace llmd::health
