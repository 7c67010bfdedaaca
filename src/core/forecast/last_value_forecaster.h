#pragma once

#include "forecast/forecaster.h"

namespace llmd::forecast {

/// All stays as it is: the baseline that any other kind must beat. 4 bytes a series.
class LastValueForecaster final : public Forecaster {
 public:
  explicit LastValueForecaster(std::uint32_t series_max) noexcept : Forecaster{series_max} {}

 private:
  void grow(std::size_t series) override { values_.resize(series); }
  void begin(std::size_t series, float value) override { values_[series] = value; }
  void learn(std::size_t series, float value) override { values_[series] = value; }
  void skip(std::size_t /*series*/) override {}
  [[nodiscard]] float predict(std::size_t series, std::uint32_t /*steps*/) const noexcept override {
    return values_[series];
  }

  std::vector<float> values_;
};

}  // namespace llmd::forecast
