#pragma once

#include "base/rng.h"
#include "forecast/forecaster.h"
#include "forecast/lstm_network.h"

namespace llmd::forecast {

struct LstmOptions {
  std::uint64_t seed = 1;
  std::uint32_t windows_a_step = 16;  // learnt from at each step, whatever the number of series
};

/// A small LSTM that learns while it forecasts. Its weights are of all series; each series counts in its own unit, its
/// mean and scatter of late. From the last kWindow values it says how far each of the next kStepsMax values will be
/// from the last one; until it has learnt that is 0, so it begins as LastValueForecaster. Each step it learns from
/// windows drawn at random from what is known of the series. 308 bytes a series, 300 KB in all; a step takes 0.13 ms,
/// most of it to learn, and 3.6 us a series.
class LstmForecaster final : public Forecaster {
 public:
  static constexpr std::uint32_t kWindow = 20;

  explicit LstmForecaster(std::uint32_t series_max, LstmOptions options = {});

 private:
  static constexpr std::uint32_t kHistory = 64;
  static constexpr std::uint32_t kInputs = 2;
  struct Series {
    std::array<float, kHistory> values{};  // a ring; a missing one is what was forecast
    std::uint32_t steps = 0;               // since it began; 0: it has not
    float mean = 0;
    float scatter = 0;                       // mean distance from the mean
    std::array<float, kStepsMax> changes{};  // that are forecast, in the values' unit
  };

  void grow(std::size_t series) override;
  void begin(std::size_t series, float value) override;
  void learn(std::size_t series, float value) override;
  void skip(std::size_t series) override;
  void end(std::size_t series) noexcept override { series_[series] = {}; }
  void end_step() override;
  [[nodiscard]] float predict(std::size_t series, std::uint32_t steps) const noexcept override;

  static void push(Series& series, float value) noexcept;
  /// The value `back` steps before the last; the first one for what was before it.
  [[nodiscard]] static float value(const Series& series, std::uint32_t back) noexcept;
  [[nodiscard]] static float unit(const Series& series) noexcept;
  /// The window that ends `back` steps before the last value, as column `column` of a batch.
  void fill(const Series& series, std::uint32_t back, std::size_t column, std::size_t batch) noexcept;
  void forecast_all();
  void train();

  LstmOptions options_;
  Rng rng_;
  LstmNetwork<float> network_;
  std::vector<Series> series_;
  std::vector<std::size_t> ripe_;  // series that have a window and what came after it
  std::vector<float> inputs_;
  std::vector<float> outputs_;
};

}  // namespace llmd::forecast
