#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace llmd::forecast {

/// What a series will probably be.
struct Forecast {
  float mean = 0;       // in the values' unit, at least 0
  float deviation = 0;  // root mean square of the errors that such forecasts had lately
};

/// Says what many series of loads (values of at least 0, one a step of fixed length) will be some steps ahead, and
/// learns from each value. A series is a place from 0 on; the owner knows whose it is. Deterministic: same values, same
/// forecasts. Not thread-safe. Memory is made as places are first used and never exceeds `series_max` series of the
/// bytes that each kind states, beside 96 of this class. No allocation once all places were used.
class Forecaster {
 public:
  /// How far ahead it sees, in steps.
  static constexpr std::uint32_t kStepsMax = 10;
  /// A series without values for longer than this is as if it never was.
  static constexpr std::uint32_t kGapMax = 30;

  Forecaster(const Forecaster&) = delete;
  Forecaster& operator=(const Forecaster&) = delete;
  virtual ~Forecaster() = default;

  /// One step: the value of each series, nothing where it is missing. Infinite, negative or no numbers count as missing
  /// and in refused(). Series beyond the span are missing, values beyond series_max are ignored.
  void step(std::span<const std::optional<float>> values);

  /// What the series will be `steps` (1 to kStepsMax; others count as the nearest) after the last step. Nothing before
  /// its first value. While no error of that distance has been seen the deviation is the mean itself.
  [[nodiscard]] std::optional<Forecast> forecast(std::uint32_t series, std::uint32_t steps) const noexcept;

  /// The next value begins a new series at this place.
  void forget(std::uint32_t series) noexcept;

  [[nodiscard]] std::uint32_t series_max() const noexcept { return series_max_; }
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }

 protected:
  explicit Forecaster(std::uint32_t series_max) noexcept : series_max_{series_max} {}

 private:
  /// There are so many series from now on, more than before.
  virtual void grow(std::size_t series) = 0;
  /// The first value of a series.
  virtual void begin(std::size_t series, float value) = 0;
  /// One more value, a step after the last.
  virtual void learn(std::size_t series, float value) = 0;
  /// A step without a value: time passes, nothing is learnt.
  virtual void skip(std::size_t series) = 0;
  /// The series is no more.
  virtual void end(std::size_t /*series*/) noexcept {}
  /// All series have had their step.
  virtual void end_step() {}
  /// Pre: the series has begun; 1 <= steps <= kStepsMax. May be any number: it is brought into range.
  [[nodiscard]] virtual float predict(std::size_t series, std::uint32_t steps) const noexcept = 0;

  /// Errors are measured at these distances; in between the variance is taken as linear.
  static constexpr std::array<std::uint32_t, 3> kMeasured{1, 5, 10};

  struct Series {
    bool begun = false;
    std::uint32_t gap = 0;                                // steps since its last value
    std::uint32_t age = 0;                                // steps since it began, up to kStepsMax
    std::array<float, 1 + 5 + 10> expected{};             // for each distance the last forecasts, oldest at `at`
    std::array<std::uint8_t, kMeasured.size()> at{};      // places in its part of `expected`
    std::array<float, kMeasured.size()> variance{};       // of the errors
    std::array<std::uint8_t, kMeasured.size()> errors{};  // seen, up to 255
  };

  void take(std::size_t series, std::optional<float> value);
  void judge(Series& series, float value) noexcept;
  void expect(std::size_t series) noexcept;
  void drop(std::size_t series) noexcept;
  [[nodiscard]] float in_range(float value) const noexcept;

  std::uint32_t series_max_;
  std::uint64_t refused_ = 0;
  std::vector<Series> series_;
};

}  // namespace llmd::forecast
