#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/rng.h"

namespace llmd::simulation {

/// Draws from the distributions that workloads are made of. All O(1) but for ZipfDraw; none keeps state beside the Rng.
/// The same Rng gives the same draws wherever the C library's log, exp, pow and cos round alike.

/// Mean 0, variance 1 (Box, Muller, "A note on the generation of random normal deviates", 1958).
[[nodiscard]] double draw_normal(Rng& rng) noexcept;

/// Mean 1, variance 1.
[[nodiscard]] double draw_exponential(Rng& rng) noexcept;

/// Mean and variance `shape` (Marsaglia, Tsang, "A simple method for generating gamma variables", ACM TOMS 26, 2000).
/// Pre: shape > 0.
[[nodiscard]] double draw_gamma(double shape, Rng& rng) noexcept;

/// How many tries until the first success: 1, 2, ... with this mean, cut at `max`. A mean of 1 or less gives 1.
struct Geometric {
  double mean = 1;
  std::uint32_t max = 1;

  [[nodiscard]] std::uint32_t draw(Rng& rng) const noexcept;
  /// The mean with the cut.
  [[nodiscard]] double cut_mean() const noexcept;
};

/// Ranks 0..count-1; rank r comes in proportion to 1 / (r + 1)^exponent. 8 bytes a rank, O(log count) a draw.
class ZipfDraw {
 public:
  /// No ranks count as one; an exponent of 0 makes all alike.
  ZipfDraw(std::uint32_t count, double exponent);
  [[nodiscard]] std::uint32_t draw(Rng& rng) const noexcept;
  [[nodiscard]] std::size_t count() const noexcept { return cumulated_.size(); }

 private:
  std::vector<double> cumulated_;  // weights up to each rank
};

}  // namespace llmd::simulation
