#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace llmd::scheduling {

/// An online linear model of a positive quantity whose parts can only add to it: weighted least squares with
/// coefficients that are not negative, so that more work never predicts less time, however little of the space the
/// observations have covered. Errors count relative to the prediction. Old observations fade: one that is
/// `memory` observations old counts 1/e. Where they say nothing, coefficients stay as they were.
///
/// Kept are the sums of exponentially weighted least squares (recursive least squares in information form); every
/// `kSolveEvery` observations coordinate descent continues from the last solution. add(): about 0.1 us, with a solution
/// about 2 us. Not thread-safe.
class Regression {
 public:
  static constexpr std::size_t kFeatures = 8;
  static constexpr std::uint32_t kSolveEvery = 16;
  using Features = std::array<float, kFeatures>;  // those that are not used stay 0

  /// `floor`: below this size of the quantity an error counts absolutely. Pre: both above 0.
  Regression(double memory, double floor) noexcept : keep_{1.0 - 1.0 / memory}, floor_{floor} {}

  /// Pre: all finite, features not negative.
  void add(const Features& features, double observed) noexcept;

  [[nodiscard]] float predict(const Features& features) const noexcept;
  /// Standard deviation of what is observed, by its prediction: what observations scatter, and how little is known of
  /// such features. At most the prediction (and the floor) itself, unless observations scatter by more: a feature that
  /// was hardly ever seen must not make what is otherwise known as good as unknown.
  [[nodiscard]] float deviation(const Features& features, float predicted) const noexcept;
  /// The same bits for several at once, in a third of the time of as many calls.
  static constexpr std::size_t kAtOnce = 4;
  [[nodiscard]] std::array<float, kAtOnce> deviations(const std::array<Features, kAtOnce>& features,
                                                      const std::array<float, kAtOnce>& predicted) const noexcept;
  [[nodiscard]] std::span<const float, kFeatures> coefficients() const noexcept { return theta_; }
  [[nodiscard]] std::uint64_t observations() const noexcept { return observations_; }

 private:
  using Row = std::array<double, kFeatures>;

  [[nodiscard]] double weight(double predicted) const noexcept {
    return 1.0 / (predicted * predicted + floor_ * floor_);
  }
  [[nodiscard]] float total_deviation(float predicted, float unknown) const noexcept;
  void solve() noexcept;
  void descend(const std::array<Row, kFeatures>& a, const Row& b) noexcept;
  void invert(std::array<Row, kFeatures> a) noexcept;

  double keep_;
  double floor_;
  std::array<Row, kFeatures> xx_{};  // sums of weight * x * x'
  Row xy_{};                         // and of weight * x * observed
  Features theta_{};
  std::array<Features, kFeatures> inverse_{};  // of xx_, upper triangle doubled
  double scatter_ = 0.25;                      // mean of squared relative errors
  std::uint64_t observations_ = 0;
};

}  // namespace llmd::scheduling
