#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "base/rng.h"
#include "scheduling/learning/weight_levels.h"

namespace llmd::scheduling {

/// How much better each arm's reward is than that of the configured weights: linear and quadratic in each scorer's
/// level, as a Bayesian regression. A round adds the rewards of several arms that were seen close together; only their
/// differences count, so the hour's load, which all of them shared, cancels. Older rounds fade, so that the model
/// follows traffic (discounted linear bandits: Russac, Vernade, Cappé, "Weighted Linear Bandits for Non-Stationary
/// Environments", 2019). 2 KB; a round costs about 5 us with 3 scorers. Not thread-safe.
class RewardModel {
 public:
  static constexpr std::size_t kFeatures = 2 * kLearnedScorersMax;
  using Features = std::array<double, kFeatures>;

  struct Sample {
    WeightLevels levels{};
    double reward = 0;
  };

  /// Pre: scorers <= kLearnedScorersMax; keep in (0, 1], what a round leaves of those before it.
  RewardModel(std::size_t scorers, double keep) noexcept : scorers_{scorers}, keep_{keep} { solve(); }

  void add_round(std::span<const Sample> samples) noexcept;
  /// Counts all that was seen as so much less.
  void fade(double keep) noexcept;

  /// Variance of one arm's mean reward in a round.
  [[nodiscard]] double noise() const noexcept { return noise_; }
  /// How much better `a` is than `b`, in reward, and how unsure that is.
  struct Difference {
    double mean = 0;
    double deviation = 0;
  };
  [[nodiscard]] Difference difference(const WeightLevels& a, const WeightLevels& b) const noexcept;
  /// One draw of the coefficients from what is believed (Thompson sampling; Agrawal, Goyal, 2013).
  [[nodiscard]] Features draw(Rng& rng) const noexcept;
  [[nodiscard]] double value(const Features& coefficients, const WeightLevels& levels) const noexcept;

 private:
  using Matrix = std::array<Features, kFeatures>;

  [[nodiscard]] std::size_t features() const noexcept { return 2 * scorers_; }
  [[nodiscard]] Features features_of(const WeightLevels& levels) const noexcept;
  void solve() noexcept;

  std::size_t scorers_;
  double keep_;
  Matrix xx_{};
  Features xy_{};
  double noise_ = 0.01;  // variance of one arm's reward in a round
  // What follows from them:
  Matrix lower_{};  // Cholesky factor of xx_ + prior
  Features mean_{};
};

}  // namespace llmd::scheduling
