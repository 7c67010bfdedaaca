#include "forecast/forecaster.h"

#include <algorithm>
#include <cmath>

namespace llmd::forecast {
namespace {

constexpr float kErrorGain = 0.05F;                    // an error 20 steps old counts 1/e
constexpr std::array<std::size_t, 3> kFirst{0, 1, 6};  // of each measured distance, in Series::expected
constexpr float kValueMax = 1e18F;                     // its square is a float, too

}  // namespace

void Forecaster::step(std::span<const std::optional<float>> values) {
  const std::size_t given = std::min<std::size_t>(values.size(), series_max_);
  if (given > series_.size()) {
    // Doubled, so that a pool that grows one by one does not copy all each time.
    const std::size_t places = std::min<std::size_t>(series_max_, std::max(given, 2 * series_.size()));
    grow(places);
    series_.resize(places);
  }
  for (std::size_t i = 0; i < series_.size(); ++i) take(i, i < given ? values[i] : std::nullopt);
  end_step();
  for (std::size_t i = 0; i < series_.size(); ++i) {
    if (series_[i].begun) expect(i);
  }
}

void Forecaster::take(std::size_t place, std::optional<float> value) {
  Series& series = series_[place];
  if (value && !(*value >= 0 && *value <= kValueMax)) {
    ++refused_;
    value.reset();
  }
  if (!value) {
    if (!series.begun) return;
    if (++series.gap > kGapMax) {
      drop(place);
    } else {
      skip(place);
    }
    return;
  }
  series.gap = 0;
  if (series.begun) {
    judge(series, *value);
    learn(place, *value);
  } else {
    series.begun = true;
    begin(place, *value);
  }
}

void Forecaster::judge(Series& series, float value) noexcept {
  for (std::size_t m = 0; m < kMeasured.size(); ++m) {
    if (series.age < kMeasured[m]) continue;  // none that old
    const float error = value - series.expected[kFirst[m] + series.at[m]];
    std::uint8_t& seen = series.errors[m];
    seen = static_cast<std::uint8_t>(std::min(255, seen + 1));
    const float gain = std::max(kErrorGain, 1.0F / static_cast<float>(seen));  // at first the plain mean
    series.variance[m] += gain * (error * error - series.variance[m]);
  }
}

void Forecaster::expect(std::size_t place) noexcept {
  Series& series = series_[place];
  series.age = std::min(series.age + 1, kStepsMax);
  for (std::size_t m = 0; m < kMeasured.size(); ++m) {
    series.expected[kFirst[m] + series.at[m]] = in_range(predict(place, kMeasured[m]));
    series.at[m] = static_cast<std::uint8_t>((series.at[m] + 1U) % kMeasured[m]);
  }
}

float Forecaster::in_range(float value) const noexcept {
  return std::isnan(value) ? 0.0F : std::clamp(value, 0.0F, kValueMax);
}

std::optional<Forecast> Forecaster::forecast(std::uint32_t place, std::uint32_t steps) const noexcept {
  if (place >= series_.size() || !series_[place].begun) return std::nullopt;
  const Series& series = series_[place];
  steps = std::clamp(steps, 1U, kStepsMax);
  Forecast forecast{.mean = in_range(predict(place, steps))};
  const std::size_t above = static_cast<std::size_t>(std::ranges::lower_bound(kMeasured, steps) - kMeasured.begin());
  if (series.errors[above] == 0) {
    forecast.deviation = forecast.mean;
    return forecast;
  }
  float variance = series.variance[above];
  if (kMeasured[above] != steps) {
    const auto span = static_cast<float>(kMeasured[above] - kMeasured[above - 1]);
    const float share = static_cast<float>(kMeasured[above] - steps) / span;
    variance += share * (series.variance[above - 1] - variance);
  }
  forecast.deviation = std::sqrt(variance);
  return forecast;
}

void Forecaster::forget(std::uint32_t place) noexcept {
  if (place < series_.size() && series_[place].begun) drop(place);
}

void Forecaster::drop(std::size_t place) noexcept {
  series_[place] = {};
  end(place);
}

}  // namespace llmd::forecast
