#include "scheduling/learning/switchback_guard.h"

#include <algorithm>
#include <cmath>

namespace llmd::scheduling {
namespace {

constexpr std::uint32_t kBurnIn = 1;    // rounds
constexpr std::size_t kBlocksMax = 32;  // whose outcomes are awaited
constexpr double kEarnedKeep = 0.7;
constexpr double kNoiseKeep = 0.9;
constexpr double kNoiseMin = 1e-4;
constexpr double kPriorBlocks = 3;  // as which what is known of the noise counts
constexpr double kSure = 2;         // standard deviations that a loss must be sure by
constexpr double kRatherSure = 1;   // and once kPairsMax blocks were compared
constexpr double kDropMin = 0.1;    // of the worth of late, below that of the static block before
constexpr double kDropNoise = 1.2;  // the same in standard deviations of a round: two of the mean of three
constexpr double kGainMax = 0.1;    // that one block may show: a fleet that just filled its caches hides no later loss

}  // namespace

std::string_view state_name(SwitchbackGuard::State state) noexcept {
  switch (state) {
    case SwitchbackGuard::State::kMixed: return "mixed";
    case SwitchbackGuard::State::kCompares: return "comparing";
    case SwitchbackGuard::State::kPoor: return "poor";
    case SwitchbackGuard::State::kBlind: return "blind";
    case SwitchbackGuard::State::kPaused: return "paused";
  }
  return "mixed";
}

std::string_view state_reason(SwitchbackGuard::State state) noexcept {
  switch (state) {
    case SwitchbackGuard::State::kMixed: return "learned and tried weights serve beside the configured ones";
    case SwitchbackGuard::State::kCompares: return "the configured weights serve alone for a block, to compare";
    case SwitchbackGuard::State::kPoor:
      return "requests miss their objectives also with the configured weights, or none has ended yet: nothing is tried";
    case SwitchbackGuard::State::kBlind: return "outcomes are overdue: nothing is tried";
    case SwitchbackGuard::State::kPaused:
      return "the fleet earned less in blocks with learned weights: the configured ones serve alone";
  }
  return "";
}

void SwitchbackGuard::begin(bool mixed) {
  const bool switched = !blocks_.empty() && blocks_.back().mixed != mixed;
  blocks_.push_back({.number = ++numbers_, .mixed = mixed, .switched = switched});
  if (blocks_.size() > kBlocksMax) blocks_.pop_front();
}

SwitchbackGuard::Plan SwitchbackGuard::plan(bool blind) {
  blind_ = blind;
  const Block& current = blocks_.back();
  const bool poor = earned_.value_or(0) < kEnough;
  if (current.mixed) {
    if (blind || pause_ > 0 || current.cut || current.planned >= mixed_rounds_) begin(false);
  } else if (current.planned >= kStaticRounds) {
    begin(!blind && !poor && pause_ == 0);
  }
  if (pause_ > 0 && !poor && !blind) --pause_;
  ++blocks_.back().planned;
  return {.mixed = blocks_.back().mixed, .block = blocks_.back().number};
}

void SwitchbackGuard::learn(std::uint32_t block, double worth) {
  const auto found = std::ranges::find(blocks_, block, &Block::number);
  if (found == blocks_.end()) return;
  earned_ = earned_ ? kEarnedKeep * *earned_ + (1 - kEarnedKeep) * worth : worth;
  if (found->told++ >= (found->switched ? kBurnIn : 0)) {
    ++found->counted;
    found->sum += worth;
    found->squares += worth * worth;
  }
  if (found->mixed && fell()) found->cut = true;
  // What was told of a block says that nothing more comes of those before it.
  while (blocks_.front().number != block) settle();
  if (blocks_.size() > 1 && blocks_.front().told == blocks_.front().planned) settle();
}

/// It earns visibly less than the static block before: time to look what another one earns now.
bool SwitchbackGuard::fell() const noexcept {
  const double drop = std::max(kDropMin, kDropNoise * std::sqrt(noise_));
  return *earned_ < kEnough || (before_ && *earned_ < before_->mean() - drop);
}

void SwitchbackGuard::settle() {
  const Block block = blocks_.front();
  blocks_.pop_front();
  if (block.counted >= 2) {
    const double variance = (block.squares - block.sum * block.mean()) / (block.counted - 1);
    noise_ = std::max(kNoiseMin, kNoiseKeep * noise_ + (1 - kNoiseKeep) * variance);
  }
  settle(block);
}

void SwitchbackGuard::settle(const Block& block) {
  if (block.counted == 0) return;
  if (block.mixed) {
    mixed_ = block;
    return;
  }
  if (mixed_ && mixed_->cut && block.mean() < kEnough) {
    pause();  // it fell, and the configured weights have not raised it: no comparison tells more
  } else if (mixed_ && before_) {
    const auto rounds = [](const Block& each) { return static_cast<double>(each.counted); };
    note({.difference = std::min(kGainMax, mixed_->mean() - (before_->mean() + block.mean()) / 2),
          .variance = noise_ * (1 / rounds(*mixed_) + 0.25 / rounds(*before_) + 0.25 / rounds(block))});
    judge();
  }
  mixed_.reset();
  before_ = block;
}

void SwitchbackGuard::note(const Pair& pair) {
  // What was good before is no excuse for what is not any more.
  if (pair.difference < -kLossMax - std::sqrt(pair.variance) && difference().mean >= -kLossMax) pairs_.clear();
  pairs_.push_back(pair);
  if (pairs_.size() > kPairsMax) pairs_.pop_front();
}

SwitchbackGuard::Difference SwitchbackGuard::difference() const noexcept {
  if (pairs_.empty()) return {};
  const auto count = static_cast<double>(pairs_.size());
  Difference difference{.blocks = pairs_.size()};
  double known = 0;
  for (const Pair& pair : pairs_) {
    difference.mean += pair.difference / count;
    known += pair.variance / count;
  }
  // The noise within blocks stands for the scatter of blocks, until they themselves show it.
  double squares = kPriorBlocks * known;
  for (const Pair& pair : pairs_) squares += (pair.difference - difference.mean) * (pair.difference - difference.mean);
  difference.deviation = std::sqrt(squares / (kPriorBlocks + count - 1) / count);
  return difference;
}

void SwitchbackGuard::judge() {
  const Difference seen = difference();
  if (seen.mean >= -kLossMax) {
    mixed_rounds_ = std::min(2 * mixed_rounds_, kMixedMax);
    if (seen.mean > 0) patience_ = std::max(kPauseFirst, patience_ / 2);
    return;
  }
  mixed_rounds_ = kMixedMin;
  if (seen.mean < -(seen.blocks < kPairsMax ? kSure : kRatherSure) * seen.deviation) pause();
}

void SwitchbackGuard::pause() {
  pause_ = patience_;
  patience_ = std::min(2 * patience_, kPauseMax);
  mixed_rounds_ = kMixedMin;
  pairs_.clear();
  ++pauses_;
}

void SwitchbackGuard::abandon() {
  blocks_.clear();
  mixed_.reset();
  before_.reset();
  begin(false);
  blocks_.back().switched = true;  // what was served before is not known
}

SwitchbackGuard::State SwitchbackGuard::state() const noexcept {
  if (blocks_.back().mixed) return State::kMixed;
  if (blind_) return State::kBlind;
  if (earned_.value_or(0) < kEnough) return State::kPoor;
  return pause_ > 0 ? State::kPaused : State::kCompares;
}

}  // namespace llmd::scheduling
