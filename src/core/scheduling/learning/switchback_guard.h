#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

namespace llmd::scheduling {

/// Whether the fleet as a whole earns less while weights are learned. Arms share its queues and caches, so one can ruin
/// what the others earn beside it, which no comparison of theirs shows. This one is between times (a switchback
/// experiment: Bojinov, Simchi-Levi, Zhao, "Design and Analysis of Switchback Experiments", 2023): rounds make blocks,
/// static ones in which everyone has the configured weights, and mixed ones with the learner's arms. What a mixed block
/// earned is held against the mean of the static ones before and after it, so that a trend cancels. The first round
/// after a switch does not count: caches are still those of the block before (burn-in: Hu, Wager, "Switchback
/// Experiments under Geometric Mixing", 2022).
///
/// Mixed blocks are long as long as they earn no less, so that the comparison costs little, but one ends at once if the
/// fleet earns visibly less than before. If they may earn less they are short, and if that is sure none comes for a
/// pause, twice as long each time; then one short block is tried. While the fleet earns little none comes at all: in
/// overload what a block did to caches and queues outlasts it, and no comparison tells. Window: a loss of 0.1 of the
/// mean worth of a request is given up within kWindow rounds if what rounds earn scatters by 0.03; if more, later.
/// Pure; not thread-safe; 2 KB.
class SwitchbackGuard {
 public:
  static constexpr std::uint32_t kStaticRounds = 3;  // of a static block
  static constexpr std::uint32_t kMixedMin = 6;      // while it may be worse
  static constexpr std::uint32_t kMixedMax = 32;     // where mixed blocks are no worse
  static constexpr std::size_t kPairsMax = 8;        // mixed blocks that count
  static constexpr std::uint32_t kPauseFirst = 16;   // rounds
  static constexpr std::uint32_t kPauseMax = 256;    // rounds
  static constexpr std::uint32_t kWindow = 100;      // rounds
  static constexpr double kLossMax = 0.03;           // of the mean worth of a request, that is borne
  static constexpr double kEnough = 0.33;            // mean worth of requests: with less nothing is tried

  enum class State : std::uint8_t {
    kMixed,     // the learner's arms serve
    kCompares,  // a static block
    kPoor,      // static: the fleet earns too little, or nothing is known yet
    kBlind,     // static: outcomes are overdue
    kPaused,    // static: mixed blocks earned less
  };
  static constexpr std::size_t kStates = 5;
  /// What the next round is.
  struct Plan {
    bool mixed = false;
    std::uint32_t block = 0;  // to be told with what the round earned
  };
  /// How much more mixed blocks earned of late.
  struct Difference {
    double mean = 0;
    double deviation = 0;  // of that
    std::size_t blocks = 0;
  };

  SwitchbackGuard() { begin(false); }

  /// A round begins. `blind`: outcomes are overdue, so nothing is risked.
  [[nodiscard]] Plan plan(bool blind);
  /// What the requests of a round of that block earned in the mean, in [0, 1]. Rounds are told in order; some never.
  void learn(std::uint32_t block, double worth);
  /// Rounds under way will not be told.
  void abandon();

  [[nodiscard]] State state() const noexcept;
  [[nodiscard]] std::uint32_t pause_rounds_left() const noexcept { return pause_; }
  [[nodiscard]] std::uint64_t pauses() const noexcept { return pauses_; }
  [[nodiscard]] Difference difference() const noexcept;

 private:
  struct Block {
    std::uint32_t number = 0;
    bool mixed = false;
    bool switched = false;      // unlike the one before
    bool cut = false;           // ended before its time, as the fleet earned little
    std::uint32_t planned = 0;  // rounds
    std::uint32_t told = 0;     // of them
    std::uint32_t counted = 0;  // of those
    double sum = 0;
    double squares = 0;
    [[nodiscard]] double mean() const noexcept { return sum / counted; }
  };

  struct Pair {
    double difference = 0;  // of a mixed block and the static ones around it
    double variance = 0;    // of that, by the noise within blocks
  };

  void begin(bool mixed);
  [[nodiscard]] bool fell() const noexcept;
  void settle();
  void settle(const Block& block);
  void note(const Pair& pair);
  void judge();
  void pause();

  std::deque<Block> blocks_;  // the last is under way; those before wait for outcomes
  std::uint32_t numbers_ = 0;
  std::optional<Block> before_;  // the last static block
  std::optional<Block> mixed_;   // the mixed block since then
  std::deque<Pair> pairs_;
  double noise_ = 0.01;           // variance of what a round earns, within a block
  std::optional<double> earned_;  // of late, of a round
  bool blind_ = false;
  std::uint32_t mixed_rounds_ = kMixedMax;
  std::uint32_t patience_ = kPauseFirst;
  std::uint32_t pause_ = 0;
  std::uint64_t pauses_ = 0;
};

/// "mixed", "comparing", "poor", "blind", "paused".
[[nodiscard]] std::string_view state_name(SwitchbackGuard::State state) noexcept;
/// The same as a sentence for who operates it.
[[nodiscard]] std::string_view state_reason(SwitchbackGuard::State state) noexcept;

}  // namespace llmd::scheduling
