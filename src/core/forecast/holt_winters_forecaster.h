#pragma once

#include "forecast/forecaster.h"
#include "forecast/recent_best.h"

namespace llmd::forecast {

struct HoltWintersOptions {
  /// Steps of a period that is known, 0: none, at most kSeasonMax. Loads sampled each second have none that fits here:
  /// a day would be 86,400 numbers a series, so none is looked for.
  std::uint32_t season_steps = 0;
  static constexpr std::uint32_t kSeasonMax = 600;
};

/// Exponential smoothing of level and trend (Holt 1957, Winters 1960) with a damped trend (Gardner, McKenzie,
/// "Forecasting trends in time series", Management Science 31, 1985) and, if asked for, an additive season. How much
/// the newest value counts is chosen for each series, as in EwmaForecaster. 136 bytes a series and 4 a step of the
/// season; 30 ns a step.
class HoltWintersForecaster final : public Forecaster {
 public:
  explicit HoltWintersForecaster(std::uint32_t series_max, HoltWintersOptions options = {}) noexcept;

 private:
  struct Gains {
    float level;
    float trend;
  };
  static constexpr std::array<Gains, 4> kGains{{{0.8F, 0.2F}, {0.4F, 0.1F}, {0.15F, 0.05F}, {0.05F, 0.02F}}};
  struct State {
    float level = 0;
    float trend = 0;  // a step
  };
  struct Series {
    std::array<State, kGains.size()> states{};
    RecentBest<kGains.size()> choice;
    std::uint32_t phase = 0;  // of the season, of the last step
  };

  void grow(std::size_t series) override;
  void begin(std::size_t series, float value) override;
  void learn(std::size_t series, float value) override;
  void skip(std::size_t series) override;
  [[nodiscard]] float predict(std::size_t series, std::uint32_t steps) const noexcept override;

  static void expect(Series& series) noexcept;
  /// What the season adds `steps` after the last step.
  [[nodiscard]] float season(std::size_t series, std::uint32_t steps) const noexcept;

  std::uint32_t season_steps_;
  std::vector<Series> series_;
  std::vector<float> seasons_;  // season_steps_ a series
};

}  // namespace llmd::forecast
