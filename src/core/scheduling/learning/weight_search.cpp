#include "scheduling/learning/weight_search.h"

#include <algorithm>
#include <cmath>

namespace llmd::scheduling {
namespace {

constexpr double kGainMin = 0.004;   // of the mean reward; less is not worth a move
constexpr double kConfidence = 0.8;  // standard deviations that a move must be better by
constexpr double kAlarm = 2.0;       // and that a loss must be sure by to end it before the window does
constexpr std::uint32_t kPatienceMax = 16;
constexpr double kKeptAtFallback = 0.3;  // of what was believed
constexpr std::size_t kLossesMax = 64;
constexpr std::uint32_t kTrialRoundsMax = 12;

constexpr WeightLevels kConfigured{};

}  // namespace

template <class Visit>
void WeightSearch::each_neighbour(const Visit& visit) const {
  for (std::size_t s = 0; s < options_.scorers; ++s) {
    for (const int step : {-2, -1, 1, 2}) {
      WeightLevels next = levels_;
      next[s] = static_cast<std::int8_t>(next[s] + step);
      if (std::abs(next[s]) <= kLevelMax) visit(next);
    }
  }
}

void WeightSearch::move() noexcept {
  if (levels_ != kConfigured && model_.difference(levels_, kConfigured).mean < 0) levels_ = kConfigured;
  WeightLevels best = levels_;
  double gain = kGainMin;
  each_neighbour([&](const WeightLevels& next) {
    const RewardModel::Difference step = model_.difference(next, levels_);
    const RewardModel::Difference all = model_.difference(next, kConfigured);
    if (step.mean > gain && step.mean > kConfidence * step.deviation && all.mean > kConfidence * all.deviation) {
      best = next;
      gain = step.mean;
    }
  });
  levels_ = best;
}

WeightLevels WeightSearch::best_trial(Rng& rng) const noexcept {
  const RewardModel::Features drawn = model_.draw(rng);
  WeightLevels best = levels_;
  double value = model_.value(drawn, levels_);
  each_neighbour([&](const WeightLevels& next) {
    if (const double other = model_.value(drawn, next); other > value) {
      best = next;
      value = other;
    }
  });
  return best;
}

WeightSearch::Plan WeightSearch::plan(Rng& rng) noexcept {
  if (pause_ > 0) {
    --pause_;
    return {.paused = true};
  }
  move();
  if (trial_out_ > 0) --trial_out_;
  Plan plan{.learned = levels_, .trial = levels_};
  if (trial_out_ > 0) return plan;
  plan.trial = best_trial(rng);
  if (options_.one_trial && plan.trial != levels_) trial_out_ = kTrialRoundsMax;
  return plan;
}

void WeightSearch::learn(std::span<const Seen> round, TimePoint now) {
  ++rounds_;
  std::array<RewardModel::Sample, 16> samples;
  const std::size_t count = std::min(samples.size(), round.size());
  double configured = 0;
  double served = 0;
  std::size_t configured_count = 0;
  for (std::size_t i = 0; i < count; ++i) {
    samples[i] = {round[i].levels, round[i].reward};
    served += round[i].reward / static_cast<double>(count);
    if (round[i].levels != kConfigured) continue;
    configured += round[i].reward;
    ++configured_count;
  }
  model_.add_round(std::span{samples}.first(count));
  if (configured_count < count) trial_out_ = 0;
  if (configured_count == 0 || configured_count == count) return;
  const double others = static_cast<double>(count - configured_count) / static_cast<double>(count);
  const double loss = served - configured / static_cast<double>(configured_count);
  const double variance =
      model_.noise() * others * others *
      (1.0 / static_cast<double>(configured_count) + 1.0 / static_cast<double>(count - configured_count));
  if (losses_.empty()) since_ = now;
  losses_.push_back({now, loss, variance});
  if (too_bad(now)) {
    fall_back();
  } else if (++good_ % (4 * patience_) == 0) {
    patience_ = std::max(1U, patience_ / 2);
  }
}

bool WeightSearch::too_bad(TimePoint now) {
  while (losses_.size() > kLossesMax ||
         (losses_.size() > options_.window_rounds && now - losses_.front().at > options_.window))
    losses_.pop_front();
  double sum = 0;
  double variance = 0;
  for (const Loss& loss : losses_) {
    sum += loss.served;
    variance += loss.variance;
  }
  const auto count = static_cast<double>(losses_.size());
  if (sum / count > -options_.loss_max) return false;
  const bool whole_window = losses_.size() >= options_.window_rounds && now - since_ >= options_.window;
  return whole_window || sum < -kAlarm * std::sqrt(variance);
}

void WeightSearch::fall_back() noexcept {
  levels_ = kConfigured;
  losses_.clear();
  model_.fade(kKeptAtFallback);
  pause_ = patience_;
  patience_ = std::min(kPatienceMax, 2 * patience_);
  good_ = 0;
  ++fallbacks_;
}

}  // namespace llmd::scheduling
