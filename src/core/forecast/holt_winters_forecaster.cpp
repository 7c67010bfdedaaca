#include "forecast/holt_winters_forecaster.h"

#include <algorithm>

namespace llmd::forecast {
namespace {

constexpr float kDamping = 0.9F;  // what is left of the trend after a step
constexpr float kSeasonGain = 0.2F;

/// Sum of kDamping^1 to kDamping^steps, for each number of steps.
constexpr auto kTrendSum = [] {
  std::array<float, Forecaster::kStepsMax + 1> sums{};
  float power = 1;
  for (std::size_t i = 1; i < sums.size(); ++i) sums[i] = sums[i - 1] + (power *= kDamping);
  return sums;
}();

}  // namespace

HoltWintersForecaster::HoltWintersForecaster(std::uint32_t series_max, HoltWintersOptions options) noexcept
    : Forecaster{series_max}, season_steps_{std::min(options.season_steps, HoltWintersOptions::kSeasonMax)} {}

void HoltWintersForecaster::grow(std::size_t series) {
  series_.resize(series);
  seasons_.resize(series * season_steps_);
}

float HoltWintersForecaster::season(std::size_t place, std::uint32_t steps) const noexcept {
  if (season_steps_ == 0) return 0;
  return seasons_[place * season_steps_ + (series_[place].phase + steps) % season_steps_];
}

void HoltWintersForecaster::expect(Series& series) noexcept {
  std::array<float, kGains.size()> forecasts{};
  for (std::size_t i = 0; i < kGains.size(); ++i)
    forecasts[i] = series.states[i].level + kTrendSum[series.choice.kAhead] * series.states[i].trend;
  series.choice.expect(forecasts);
}

void HoltWintersForecaster::begin(std::size_t place, float value) {
  Series& series = series_[place];
  series = {};
  for (State& state : series.states) state.level = value;
  std::fill_n(seasons_.begin() + static_cast<std::ptrdiff_t>(place * season_steps_), season_steps_, 0.0F);
  expect(series);
}

void HoltWintersForecaster::learn(std::size_t place, float value) {
  const float seasonal = season(place, 1);
  Series& series = series_[place];
  const float plain = value - seasonal;
  series.choice.see(plain);
  for (std::size_t i = 0; i < kGains.size(); ++i) {
    State& state = series.states[i];
    const float before = state.level;
    const float trend = kDamping * state.trend;
    state.level = before + trend + kGains[i].level * (plain - before - trend);
    state.trend = trend + kGains[i].trend * (state.level - before - trend);
  }
  if (season_steps_ > 0) {
    series.phase = (series.phase + 1) % season_steps_;
    // The slowest level: a quick one would follow the season and leave nothing of it.
    seasons_[place * season_steps_ + series.phase] += kSeasonGain * (value - series.states.back().level - seasonal);
  }
  expect(series);
}

void HoltWintersForecaster::skip(std::size_t place) {
  Series& series = series_[place];
  for (State& state : series.states) {
    state.trend *= kDamping;
    state.level += state.trend;
  }
  if (season_steps_ > 0) series.phase = (series.phase + 1) % season_steps_;
  expect(series);
}

float HoltWintersForecaster::predict(std::size_t place, std::uint32_t steps) const noexcept {
  const Series& series = series_[place];
  const State& state = series.states[series.choice.best()];
  return state.level + kTrendSum[steps] * state.trend + season(place, steps);
}

}  // namespace llmd::forecast
