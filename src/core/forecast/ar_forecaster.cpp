#include "forecast/ar_forecaster.h"

#include <algorithm>
#include <cmath>

namespace llmd::forecast {
namespace {

constexpr double kForgetting = 0.998;  // a value that is 500 steps old counts 1/e
constexpr double kFirstVariance = 1;   // how far weights may be from "as the last value" before there is data
constexpr double kVarianceMax = 1e4;   // of all weights: where nothing new comes, forgetting would blow it up
constexpr float kScaleGain = 0.01F;
constexpr float kRangeGain = 0.05F;       // by which the range shrinks to what comes
constexpr double kErrorMax = 3;           // one jump must not overthrow what was learnt
constexpr float kScatterMin = 1e-5F;      // of the mean: below it is the noise of floats
constexpr double kReflectionMax = 1.001;  // 1: a root on the unit circle, as a ramp has
constexpr double kDrawIn = 0.97;
constexpr int kDrawInsMax = 30;  // then each weight is below a half of what it was

using Weights = std::array<double, ArForecaster::kLags>;

/// Whether forecasts of forecasts stay bounded: all reflection coefficients are within the unit circle (the step-down
/// form of the Levinson recursion; Kay, "Modern spectral estimation", 1988).
bool is_stable(Weights weights) noexcept {
  for (std::size_t order = weights.size(); order-- > 0;) {
    const double k = weights[order];
    if (!(std::abs(k) <= kReflectionMax)) return false;
    const double rest = 1 - k * k;
    if (rest < 1e-3) return true;  // on the circle: what is below cannot be told apart
    const Weights before = weights;
    for (std::size_t i = 0; i < order; ++i) weights[i] = (before[i] + k * before[order - 1 - i]) / rest;
  }
  return true;
}

void push(std::array<float, ArForecaster::kLags>& lags, float value) noexcept {
  std::copy_backward(lags.begin(), lags.end() - 1, lags.end());
  lags.front() = value;
}

}  // namespace

void ArForecaster::grow(std::size_t series) { series_.resize(series); }

void ArForecaster::begin(std::size_t place, float value) {
  Series& series = series_[place];
  series = {};
  series.lags.fill(value);
  series.steps = 1;
  series.mean = value;
  series.least = value;
  series.most = value;
  series.weights[0] = 1;
  series.stable[0] = 1;
  for (std::size_t i = 0; i < kTerms; ++i) series.covariance[i][i] = kFirstVariance;
}

void ArForecaster::learn(std::size_t place, float value) {
  Series& series = series_[place];
  series.least = std::min(value, series.least + kRangeGain * (value - series.least));
  series.most = std::max(value, series.most + kRangeGain * (value - series.most));
  const float gain = std::max(kScaleGain, 1.0F / static_cast<float>(++series.steps));
  series.scatter += gain * (std::abs(value - series.mean) - series.scatter);
  series.mean += gain * (value - series.mean);
  if (series.steps > kLags && series.scatter > kScatterMin * series.mean) regress(series, value);
  push(series.lags, value);
}

void ArForecaster::regress(Series& series, float value) noexcept {
  Row terms{};
  for (std::size_t i = 0; i < kLags; ++i)
    terms[i] = static_cast<double>((series.lags[i] - series.mean) / series.scatter);
  terms[kLags] = 1;
  Row gain{};
  double spread = kForgetting;
  double error = static_cast<double>((value - series.mean) / series.scatter);
  for (std::size_t i = 0; i < kTerms; ++i) {
    for (std::size_t j = 0; j < kTerms; ++j) gain[i] += series.covariance[i][j] * terms[j];
    spread += gain[i] * terms[i];
    error -= series.weights[i] * terms[i];
  }
  error = std::clamp(error, -kErrorMax, kErrorMax);
  double trace = 0;
  for (std::size_t i = 0; i < kTerms; ++i) {
    series.weights[i] += gain[i] / spread * error;
    trace += series.covariance[i][i];
  }
  const double forgetting = trace < kVarianceMax ? kForgetting : 1.0;
  for (std::size_t i = 0; i < kTerms; ++i) {
    for (std::size_t j = i; j < kTerms; ++j) {
      const double left = (series.covariance[i][j] - gain[i] * gain[j] / spread) / forgetting;
      series.covariance[i][j] = left;
      series.covariance[j][i] = left;
    }
  }
  Weights weights{};
  std::copy_n(series.weights.begin(), kLags, weights.begin());
  for (int i = 0; i < kDrawInsMax && !is_stable(weights); ++i) {
    double factor = 1;
    for (double& weight : weights) weight *= factor *= kDrawIn;
  }
  float kept = 1;  // what of the mean the weights do not carry on themselves
  for (std::size_t i = 0; i < kLags; ++i) {
    series.stable[i] = static_cast<float>(weights[i]);
    kept -= series.stable[i];
  }
  series.stable[kLags] = static_cast<float>(series.weights[kLags]) * series.scatter + kept * series.mean;
}

void ArForecaster::skip(std::size_t place) { push(series_[place].lags, predict(place, 1)); }

float ArForecaster::predict(std::size_t place, std::uint32_t steps) const noexcept {
  const Series& series = series_[place];
  std::array<float, kLags> lags = series.lags;
  const float range = series.most - series.least;
  for (std::uint32_t step = 0; step < steps; ++step) {
    float next = series.stable[kLags];
    for (std::size_t i = 0; i < kLags; ++i) next += series.stable[i] * lags[i];
    push(lags, std::clamp(next, series.least - range, series.most + range));
  }
  return lags.front();
}

std::array<float, ArForecaster::kLags> ArForecaster::weights(std::uint32_t place) const noexcept {
  std::array<float, kLags> weights{};
  std::copy_n(series_[place].stable.begin(), kLags, weights.begin());
  return weights;
}

}  // namespace llmd::forecast
