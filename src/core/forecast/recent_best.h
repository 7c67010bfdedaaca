#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace llmd::forecast {

/// Which of N ways to forecast was best lately: the least mean absolute error over `kAhead` steps, where an error that
/// is 500 steps old counts 1/e. Long, because after a burst whatever followed it looks worst, just when the next burst
/// is far. Among equals the first. 4 * (N + N * kAhead) + 8 bytes.
template <std::size_t N>
class RecentBest {
 public:
  static constexpr std::size_t kAhead = 5;

  /// What came, before expect() of its step. Left out where a value is missing.
  void see(float value) noexcept {
    if (filled_ < kAhead) return;
    for (std::size_t i = 0; i < N; ++i) errors_[i] = kKeep * errors_[i] + std::abs(value - expected_[at_][i]);
  }
  /// What each way says of the value `kAhead` steps from now. Once a step.
  void expect(const std::array<float, N>& forecasts) noexcept {
    expected_[at_] = forecasts;
    at_ = static_cast<std::uint8_t>((at_ + 1U) % kAhead);
    filled_ = static_cast<std::uint8_t>(std::min<std::size_t>(filled_ + 1U, kAhead));
  }
  [[nodiscard]] std::size_t best() const noexcept {
    return static_cast<std::size_t>(std::ranges::min_element(errors_) - errors_.begin());
  }

 private:
  static constexpr float kKeep = 0.998F;
  std::array<float, N> errors_{};
  std::array<std::array<float, N>, kAhead> expected_{};
  std::uint8_t at_ = 0;
  std::uint8_t filled_ = 0;
};

}  // namespace llmd::forecast
