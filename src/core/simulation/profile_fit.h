#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "simulation/hardware_profile.h"

namespace llmd::simulation {

/// What a client measured of an engine, and what the engine did in that time.
struct CostSample {
  enum class Kind : std::uint8_t { kPrompt, kCachedPrompt, kDecode };
  Kind kind = Kind::kPrompt;
  double seconds = 0;
  double steps = 1;
  double prefill_tokens = 0;
  double prefill_kilotokens = 0;  // the same, each times the thousands of tokens before it
  double decode_sequences = 0;
  double decode_kilotokens = 0;  // the thousands of tokens of their contexts, summed
  double restored_tokens = 0;
  double requests = 0;  // whose way through the host is part of the time
};
inline constexpr std::size_t kCostSampleKinds = 3;

/// What a profile says that it takes.
[[nodiscard]] double predicted_seconds(const CostSample& sample, const HardwareProfile& profile) noexcept;

struct ProfileFit {
  HardwareProfile profile{};  // `base` with fitted costs; the host's whole time stands in submit_s, stream_s is 0
  /// Median of |predicted - measured| / measured, for each kind; 0 of none.
  std::array<double, kCostSampleKinds> error_median{};
  std::array<double, kCostSampleKinds> error_p90{};
  std::size_t samples = 0;
  std::size_t left_out = 0;  // far from all others
};

/// The costs of a profile that explain the samples best: least squares of relative errors, none below 0. Samples
/// that are off by more than five times the median error are left out and the rest is fitted again. Error
/// kInvalidRequest: fewer than four samples, or one without a time. O(samples).
[[nodiscard]] Result<ProfileFit> fit_profile(std::span<const CostSample> samples, const HardwareProfile& base);

/// Everything that the engine does takes so many times as long; of the host's times none changes.
void scale_costs(double times, HardwareProfile& profile) noexcept;

}  // namespace llmd::simulation
