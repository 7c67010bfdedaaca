#include "scheduling/learning/reward_model.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace llmd::scheduling {
namespace {

constexpr double kEffectPrior = 0.04;  // variance of what a weight at its bound changes in the reward
constexpr double kNoiseKeep = 0.9;
constexpr double kNoiseMin = 1e-5;

double draw_normal(Rng& rng) noexcept {
  return std::sqrt(-2 * std::log(1 - rng.uniform())) * std::cos(2 * std::numbers::pi * rng.uniform());
}

}  // namespace

RewardModel::Features RewardModel::features_of(const WeightLevels& levels) const noexcept {
  Features features{};
  for (std::size_t s = 0; s < scorers_; ++s) {
    const double level = static_cast<double>(levels[s]) / kLevelMax;
    features[2 * s] = level;
    features[2 * s + 1] = level * level;
  }
  return features;
}

void RewardModel::add_round(std::span<const Sample> samples) noexcept {
  fade(keep_);
  if (samples.size() < 2) return;
  const auto count = static_cast<double>(samples.size());
  Features centre{};
  double reward = 0;
  for (const Sample& sample : samples) {
    const Features x = features_of(sample.levels);
    for (std::size_t i = 0; i < features(); ++i) centre[i] += x[i] / count;
    reward += sample.reward / count;
  }
  double residual = 0;
  for (const Sample& sample : samples) {
    Features x = features_of(sample.levels);
    for (std::size_t i = 0; i < features(); ++i) x[i] -= centre[i];
    const double y = sample.reward - reward;
    double expected = 0;
    for (std::size_t i = 0; i < features(); ++i) {
      expected += x[i] * mean_[i];
      xy_[i] += x[i] * y;
      for (std::size_t j = 0; j < features(); ++j) xx_[i][j] += x[i] * x[j];
    }
    residual += (y - expected) * (y - expected);
  }
  noise_ = std::max(kNoiseMin, kNoiseKeep * noise_ + (1 - kNoiseKeep) * residual / (count - 1));
  solve();
}

void RewardModel::fade(double keep) noexcept {
  for (auto& row : xx_) {
    for (double& value : row) value *= keep;
  }
  for (double& value : xy_) value *= keep;
  solve();
}

void RewardModel::solve() noexcept {
  const std::size_t n = features();
  const double prior = noise_ / kEffectPrior;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = xx_[i][j] + (i == j ? prior : 0);
      for (std::size_t k = 0; k < j; ++k) sum -= lower_[i][k] * lower_[j][k];
      lower_[i][j] = i == j ? std::sqrt(std::max(sum, 1e-12)) : sum / lower_[j][j];
    }
  }
  Features half{};
  for (std::size_t i = 0; i < n; ++i) {
    double sum = xy_[i];
    for (std::size_t k = 0; k < i; ++k) sum -= lower_[i][k] * half[k];
    half[i] = sum / lower_[i][i];
  }
  for (std::size_t i = n; i-- > 0;) {
    double sum = half[i];
    for (std::size_t k = i + 1; k < n; ++k) sum -= lower_[k][i] * mean_[k];
    mean_[i] = sum / lower_[i][i];
  }
}

RewardModel::Difference RewardModel::difference(const WeightLevels& a, const WeightLevels& b) const noexcept {
  const Features of_a = features_of(a);
  const Features of_b = features_of(b);
  Difference difference;
  Features half{};
  double variance = 0;
  for (std::size_t i = 0; i < features(); ++i) {
    const double x = of_a[i] - of_b[i];
    difference.mean += x * mean_[i];
    double sum = x;
    for (std::size_t k = 0; k < i; ++k) sum -= lower_[i][k] * half[k];
    half[i] = sum / lower_[i][i];
    variance += half[i] * half[i];
  }
  difference.deviation = std::sqrt(noise_ * variance);
  return difference;
}

RewardModel::Features RewardModel::draw(Rng& rng) const noexcept {
  Features drawn{};
  for (std::size_t i = features(); i-- > 0;) {
    double sum = draw_normal(rng) * std::sqrt(noise_);
    for (std::size_t k = i + 1; k < features(); ++k) sum -= lower_[k][i] * drawn[k];
    drawn[i] = sum / lower_[i][i];
  }
  for (std::size_t i = 0; i < features(); ++i) drawn[i] += mean_[i];
  return drawn;
}

double RewardModel::value(const Features& coefficients, const WeightLevels& levels) const noexcept {
  const Features x = features_of(levels);
  double value = 0;
  for (std::size_t i = 0; i < features(); ++i) value += coefficients[i] * x[i];
  return value;
}

}  // namespace llmd::scheduling
