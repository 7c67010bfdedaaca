#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "model/decision.h"
#include "scheduling/learning/switchback_guard.h"
#include "scheduling/learning/weight_search.h"
#include "scheduling/plugin.h"

namespace llmd::scheduling {

/// Learns the weights of one profile while it serves.
///
/// Traffic is cut into rounds of five slices, each with one arm: the configured weights (the control, in at least
/// `control_share` of the slices), the learned ones, and one neighbour of these on trial. Each request of a round draws
/// its slice, so that all arms meet the same load. As they share queues and caches, differences come out smaller than
/// they would be apart; where arms take all traffic in turns (`by_request` false) they are not shrunk, but what a turn
/// earns depends so much on when it comes that twice as much traffic is needed to tell (docs/benchmarks.md, "Learned
/// weights").
///
/// What is best depends on the traffic, so each context has a WeightSearch of its own. A round has one context, by what
/// came in the round before: how much of the prompts some endpoint held, and how many prompt tokens a second came for
/// each endpoint. Neither depends on the arms.
///
/// A SwitchbackGuard puts in static rounds, in which everyone has the configured weights, and more of them where the
/// fleet as a whole earns less in the others.
///
/// Thread-safe: choose() shares a lock; sent() and finished() take it alone, for 0.1 us, at a round's end some 10 us.
/// Memory: about 60 KB.
class WeightLearner {
 public:
  struct Scorer {
    std::string name;
    float weight = 1;  // as configured
    friend bool operator==(const Scorer&, const Scorer&) = default;
  };
  /// What must stay the same for what was learned to go on.
  struct Subject {
    std::string learner;  // the plugin's name
    std::string profile;
    std::vector<Scorer> scorers;
    float bound = 4;  // a weight is at most so many times the configured one, and at least its part
    friend bool operator==(const Subject&, const Subject&) = default;
  };
  struct Options {
    double control_share = 0.2;
    Duration window = seconds{120};  // and at least window_requests: how long it may be worse, see WeightSearch
    std::uint32_t window_requests = 1'000;
    std::uint32_t slice_requests = 50;
    Duration slice_min = seconds{1};
    bool by_request = true;           // arms side by side instead of in turns
    float ttft_objective_ms = 2'000;  // of requests that bring none
    float tpot_objective_ms = 50;
    bool frozen = false;
    std::uint64_t seed = 1;
    friend bool operator==(const Options&, const Options&) = default;
  };
  enum class Arm : std::uint8_t { kControl, kLearned, kTrial };
  using Weights = std::array<float, kLearnedScorersMax>;
  /// What a decision is made with.
  struct Choice {
    Weights weights{};  // one a scorer
    Arm arm = Arm::kControl;
    WeightTrial trial{};
  };
  struct ContextStatus {
    std::string name;
    std::uint64_t rounds = 0;
    std::uint64_t fallbacks = 0;
    bool paused = false;
    std::vector<float> weights;
  };
  struct Status {
    std::string profile;
    std::vector<Scorer> scorers;
    std::vector<float> weights;  // of the learned arm, in the context that is
    std::string context;
    bool frozen = false;
    double control_reward = 0;  // mean of late, of requests in those slices
    double learned_reward = 0;  // of all other slices
    std::uint64_t requests = 0;
    std::uint64_t fallbacks = 0;
    SwitchbackGuard::State state = SwitchbackGuard::State::kMixed;
    std::uint64_t pauses = 0;
    std::uint32_t pause_rounds_left = 0;
    SwitchbackGuard::Difference difference;  // what mixed blocks earned, less what static ones did
    std::vector<ContextStatus> contexts;     // that were met
  };

  /// Pre: at most kLearnedScorersMax scorers, at least one.
  WeightLearner(Subject subject, const Options& options);

  [[nodiscard]] const Subject& subject() const noexcept { return subject_; }
  /// New options count from the next round on.
  void configure(const Options& options);

  /// `chance`: uniform in [0, 1).
  [[nodiscard]] Choice choose(const PluginInput& input, double chance) const;
  void sent(const WeightTrial& trial, std::uint32_t prompt_tokens, TimePoint now);
  void finished(const WeightTrial& trial, const Outcome& outcome, TimePoint now);

  /// Weights stay as they are in each context, and nothing is tried, until unfrozen.
  void freeze(bool frozen);
  /// Forgets all: the configured weights again.
  void reset();
  [[nodiscard]] Status status() const;
  /// The same in short, for people; the weights are on the metrics page.
  [[nodiscard]] PluginState state() const;

 private:
  static constexpr std::size_t kSlices = 5;
  static constexpr std::size_t kReuseBuckets = 2;
  static constexpr std::size_t kRateBuckets = 4;
  static constexpr std::size_t kContexts = kReuseBuckets * kRateBuckets;

  struct Slice {
    WeightLevels levels{};
    Arm arm = Arm::kControl;
    Weights weights{};
    std::uint32_t sent = 0;
    std::uint32_t counting = 0;  // of them
    std::uint32_t ended = 0;     // of those
    std::uint32_t seen = 0;      // of those, that said something
    double reward = 0;           // sum
  };
  struct Round {
    std::uint32_t number = 0;
    std::size_t context = 0;
    SwitchbackGuard::Plan plan;
    std::array<Slice, kSlices> slices{};
    bool over = false;
    TimePoint over_at{};
  };
  /// What came in the round under way.
  struct Traffic {
    TimePoint since{};
    double requests = 0;
    double prompt_tokens = 0;
    double reuse = 0;
  };

  void start_round();
  void abandon_rounds();
  void advance(TimePoint now);
  void end_round(TimePoint now);
  void learn_from_rounds(TimePoint now);
  void learn_from(const Round& round, TimePoint now);
  [[nodiscard]] Weights weights_of(const WeightLevels& levels) const noexcept;
  [[nodiscard]] std::size_t context_of(const Traffic& traffic, TimePoint now) const noexcept;
  [[nodiscard]] WeightSearch fresh_search() const;

  const Subject subject_;
  mutable std::shared_mutex mutex_;
  Options options_;
  std::optional<bool> steered_;  // frozen or not, by who operates it: it outlives configurations
  Rng rng_;
  SwitchbackGuard guard_;
  std::vector<WeightSearch> searches_;  // one a context
  std::size_t context_ = 0;
  std::deque<Round> rounds_;  // the last is under way
  std::size_t slice_ = 0;     // of it
  TimePoint slice_since_{};
  std::uint32_t numbers_ = 0;
  Traffic traffic_;
  bool blind_ = false;  // outcomes are overdue
  mutable std::atomic<std::uint32_t> endpoints_{1};
  double control_reward_ = 0;
  double learned_reward_ = 0;
  std::uint64_t requests_ = 0;
};

[[nodiscard]] std::string_view arm_name(WeightLearner::Arm arm) noexcept;

}  // namespace llmd::scheduling
