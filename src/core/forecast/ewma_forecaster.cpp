#include "forecast/ewma_forecaster.h"

namespace llmd::forecast {

void EwmaForecaster::grow(std::size_t series) { series_.resize(series); }

void EwmaForecaster::begin(std::size_t place, float value) {
  Series& series = series_[place];
  series = {};
  series.means.fill(value);
  series.choice.expect(series.means);
}

void EwmaForecaster::learn(std::size_t place, float value) {
  Series& series = series_[place];
  series.choice.see(value);
  for (std::size_t i = 0; i < kGains.size(); ++i) series.means[i] += kGains[i] * (value - series.means[i]);
  series.choice.expect(series.means);
}

void EwmaForecaster::skip(std::size_t place) {
  Series& series = series_[place];
  series.choice.expect(series.means);
}

float EwmaForecaster::predict(std::size_t place, std::uint32_t /*steps*/) const noexcept {
  const Series& series = series_[place];
  return series.means[series.choice.best()];
}

}  // namespace llmd::forecast
