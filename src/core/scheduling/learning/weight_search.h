#pragma once

#include <cstdint>
#include <deque>
#include <span>

#include "base/clock.h"
#include "base/rng.h"
#include "scheduling/learning/reward_model.h"
#include "scheduling/learning/weight_levels.h"

namespace llmd::scheduling {

/// Searches better weights in one context, one step of one weight at a time, and gives up at once where they are seen
/// to be worse than the configured ones. What is believed decides: the weights to serve move only to a neighbour that
/// is better with confidence, and only while they are believed better than the configured ones (the baseline's place in
/// Kazerouni et al., "Conservative Contextual Linear Bandits", 2017); what else to try is drawn by Thompson sampling.
///
/// The guard does not go by the model, which may be wrong, but by what was measured: in each round the slices that had
/// other than the configured weights against those that had them. What arms do to each other through queues and caches
/// it cannot see: that is SwitchbackGuard's. Not thread-safe.
class WeightSearch {
 public:
  struct Options {
    std::size_t scorers = 0;
    bool one_trial = false;  // a trial waits for what the one before gave: where it gets all traffic in its turn
    Duration window = seconds{120};   // of the guard
    std::uint32_t window_rounds = 2;  // it holds at least so many
    double loss_max = 0.03;           // of the mean reward, that the guard bears
  };
  /// What the next round plays beside the configured weights.
  struct Plan {
    WeightLevels learned{};
    WeightLevels trial{};
    bool paused = false;  // nothing but the configured ones
  };
  /// One arm's share in a round that is over.
  struct Seen {
    WeightLevels levels{};
    double reward = 0;  // mean of its requests
  };

  explicit WeightSearch(const Options& options) noexcept : options_{options}, model_{options.scorers, kKeep} {}

  /// Takes the options of another, and keeps what it knows.
  void configure(const WeightSearch& other) noexcept { options_ = other.options_; }

  [[nodiscard]] Plan plan(Rng& rng) noexcept;
  /// A round's arms; they are told in order of time.
  void learn(std::span<const Seen> round, TimePoint now);

  [[nodiscard]] const WeightLevels& levels() const noexcept { return levels_; }
  [[nodiscard]] std::uint64_t rounds() const noexcept { return rounds_; }
  [[nodiscard]] std::uint64_t fallbacks() const noexcept { return fallbacks_; }
  [[nodiscard]] bool paused() const noexcept { return pause_ > 0; }

 private:
  static constexpr double kKeep = 0.98;  // a round counts half after 34 more

  /// One round for the guard.
  struct Loss {
    TimePoint at;
    double served = 0;    // how much better the round's mean was than that of its configured weights
    double variance = 0;  // of that
  };

  void move() noexcept;
  [[nodiscard]] WeightLevels best_trial(Rng& rng) const noexcept;
  [[nodiscard]] bool too_bad(TimePoint now);
  void fall_back() noexcept;
  template <class Visit>
  void each_neighbour(const Visit& visit) const;

  Options options_;
  RewardModel model_;
  WeightLevels levels_{};
  std::deque<Loss> losses_;  // within the window, bounded by it
  TimePoint since_{};        // of the first of them
  std::uint32_t patience_ = 1;
  std::uint32_t pause_ = 0;
  std::uint32_t trial_out_ = 0;  // rounds to wait at most for what the last trial gave
  std::uint32_t good_ = 0;       // rounds since the last fallback
  std::uint64_t rounds_ = 0;
  std::uint64_t fallbacks_ = 0;
};

}  // namespace llmd::scheduling
