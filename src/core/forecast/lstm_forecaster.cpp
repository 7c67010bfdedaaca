#include "forecast/lstm_forecaster.h"

#include <algorithm>
#include <cmath>

namespace llmd::forecast {
namespace {

constexpr std::uint32_t kHidden = 12;
constexpr std::uint32_t kBatch = 32;
constexpr float kScaleGain = 0.01F;
constexpr float kUnitMin = 1e-6F;  // beside the mean: a series that never moves has no scatter
constexpr float kFarMax = 8;       // a burst of more than so many units is not a better example
constexpr LstmNetwork<float>::LearningOptions kLearning{.rate = 3e-3F, .gradient_norm_max = 1};

}  // namespace

LstmForecaster::LstmForecaster(std::uint32_t series_max, LstmOptions options)
    : Forecaster{series_max},
      options_{options},
      rng_{options.seed},
      network_{{.inputs = kInputs, .hidden = kHidden, .outputs = kStepsMax, .window = kWindow, .batch_max = kBatch},
               options.seed} {
  options_.windows_a_step = std::min(options_.windows_a_step, kBatch);
  inputs_.resize(std::size_t{kWindow} * kBatch * kInputs);
  outputs_.resize(std::size_t{kBatch} * kStepsMax);
}

void LstmForecaster::grow(std::size_t series) {
  series_.resize(series);
  ripe_.reserve(series);
}

void LstmForecaster::begin(std::size_t place, float value) {
  Series& series = series_[place];
  series = {};
  series.mean = value;
  push(series, value);
}

void LstmForecaster::learn(std::size_t place, float value) {
  Series& series = series_[place];
  const float gain = std::max(kScaleGain, 1.0F / static_cast<float>(series.steps + 1));
  series.scatter += gain * (std::abs(value - series.mean) - series.scatter);
  series.mean += gain * (value - series.mean);
  push(series, value);
}

void LstmForecaster::skip(std::size_t place) { push(series_[place], std::max(0.0F, predict(place, 1))); }

void LstmForecaster::push(Series& series, float value) noexcept {
  series.values[series.steps % kHistory] = value;
  ++series.steps;
}

float LstmForecaster::value(const Series& series, std::uint32_t back) noexcept {
  const std::uint32_t known = std::min(series.steps, kHistory);
  return series.values[(series.steps - 1 - std::min(back, known - 1)) % kHistory];
}

float LstmForecaster::unit(const Series& series) noexcept {
  return std::max({series.scatter, kUnitMin * series.mean, kUnitMin});
}

void LstmForecaster::fill(const Series& series, std::uint32_t back, std::size_t column, std::size_t batch) noexcept {
  const float of_unit = 1 / unit(series);
  const auto number = [&](float difference) { return std::clamp(difference * of_unit, -kFarMax, kFarMax); };
  for (std::uint32_t t = 0; t < kWindow; ++t) {
    const std::uint32_t age = back + kWindow - 1 - t;
    const float now = value(series, age);
    float* const to = &inputs_[(t * batch + column) * kInputs];
    to[0] = number(now - series.mean);
    to[1] = number(now - value(series, age + 1));
  }
}

void LstmForecaster::end_step() {
  train();
  forecast_all();
}

void LstmForecaster::train() {
  ripe_.clear();
  for (std::size_t i = 0; i < series_.size(); ++i) {
    if (series_[i].steps > kWindow / 2 + kStepsMax) ripe_.push_back(i);
  }
  if (ripe_.empty() || options_.windows_a_step == 0) return;
  const std::size_t batch = options_.windows_a_step;
  for (std::size_t column = 0; column < batch; ++column) {
    const Series& series = series_[ripe_[rng_.below(ripe_.size())]];
    const std::uint32_t known = std::min(series.steps, kHistory);
    const auto back = kStepsMax + static_cast<std::uint32_t>(rng_.below(known - kWindow / 2 - kStepsMax));
    fill(series, back, column, batch);
    const float last = value(series, back);
    for (std::uint32_t h = 1; h <= kStepsMax; ++h) {
      outputs_[column * kStepsMax + h - 1] =
          std::clamp((value(series, back - h) - last) / unit(series), -kFarMax, kFarMax);
    }
  }
  network_.back_propagate({inputs_.data(), kWindow * batch * kInputs}, batch, {outputs_.data(), batch * kStepsMax});
  network_.learn(kLearning);
}

void LstmForecaster::forecast_all() {
  for (std::size_t first = 0; first < series_.size(); first += kBatch) {
    const std::size_t batch = std::min<std::size_t>(kBatch, series_.size() - first);
    for (std::size_t column = 0; column < batch; ++column) {
      if (series_[first + column].steps > 0) fill(series_[first + column], 0, column, batch);
    }
    network_.forward({inputs_.data(), kWindow * batch * kInputs}, batch, {outputs_.data(), batch * kStepsMax});
    for (std::size_t column = 0; column < batch; ++column) {
      Series& series = series_[first + column];
      for (std::uint32_t h = 0; h < kStepsMax; ++h) series.changes[h] = outputs_[column * kStepsMax + h] * unit(series);
    }
  }
}

float LstmForecaster::predict(std::size_t place, std::uint32_t steps) const noexcept {
  const Series& series = series_[place];
  return value(series, 0) + series.changes[steps - 1];
}

}  // namespace llmd::forecast
