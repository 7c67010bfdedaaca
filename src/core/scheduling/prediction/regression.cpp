#include "scheduling/prediction/regression.h"

#include <algorithm>
#include <cmath>

namespace llmd::scheduling {
namespace {

// Holds coefficients where observations say nothing of them: a share of what is known of the feature, and as much as
// makes a feature that was never seen harmless.
constexpr double kHold = 1e-3;
constexpr double kHoldMin = 1e-9;
constexpr int kSweeps = 40;
constexpr double kScatterKeep = 0.99;
constexpr double kErrorMax = 4;  // one outlier must not say that nothing is known

}  // namespace

void Regression::add(const Features& features, double observed) noexcept {
  const double predicted = observations_ == 0 ? observed : predict(features);
  const double w = weight(std::max(predicted, 0.25 * observed));
  for (std::size_t i = 0; i < kFeatures; ++i) {
    for (std::size_t j = 0; j < kFeatures; ++j)
      xx_[i][j] = keep_ * xx_[i][j] + w * static_cast<double>(features[i]) * static_cast<double>(features[j]);
    xy_[i] = keep_ * xy_[i] + w * static_cast<double>(features[i]) * observed;
  }
  ++observations_;
  if (observations_ > kSolveEvery) {
    const double error = std::min(kErrorMax, std::abs(observed - predicted) * std::sqrt(w));
    scatter_ = kScatterKeep * scatter_ + (1 - kScatterKeep) * error * error;
  }
  if (observations_ % kSolveEvery == 0) solve();
}

float Regression::predict(const Features& features) const noexcept {
  float sum = 0;
  for (std::size_t i = 0; i < kFeatures; ++i) sum += theta_[i] * features[i];
  return sum;
}

float Regression::total_deviation(float predicted, float unknown) const noexcept {
  const auto scatter = static_cast<float>(scatter_);
  const auto floor = static_cast<float>(floor_);
  const float size = predicted * predicted + floor * floor;
  return std::sqrt(std::min(std::max(1.0F, scatter) * size, scatter * (size + std::max(0.0F, unknown))));
}

float Regression::deviation(const Features& features, float predicted) const noexcept {
  float unknown = 0;
  for (std::size_t i = 0; i < kFeatures; ++i) {
    for (std::size_t j = i; j < kFeatures; ++j) unknown += inverse_[i][j] * features[i] * features[j];
  }
  return total_deviation(predicted, unknown);
}

std::array<float, Regression::kAtOnce> Regression::deviations(
    const std::array<Features, kAtOnce>& features, const std::array<float, kAtOnce>& predicted) const noexcept {
  // One a lane, each with the sums of deviation() in its order: they are a chain of waits, these are four abreast.
  using Lanes [[gnu::vector_size(kAtOnce * sizeof(float))]] = float;
  std::array<Lanes, kFeatures> x;
  for (std::size_t i = 0; i < kFeatures; ++i)
    x[i] = Lanes{features[0][i], features[1][i], features[2][i], features[3][i]};
  Lanes unknown{};
  for (std::size_t i = 0; i < kFeatures; ++i) {
    for (std::size_t j = i; j < kFeatures; ++j) unknown += inverse_[i][j] * x[i] * x[j];
  }
  std::array<float, kAtOnce> all{};
  for (std::size_t n = 0; n < kAtOnce; ++n) all[n] = total_deviation(predicted[n], unknown[n]);
  return all;
}

void Regression::solve() noexcept {
  std::array<Row, kFeatures> a = xx_;
  Row b = xy_;
  for (std::size_t i = 0; i < kFeatures; ++i) {
    const double hold = std::max(kHoldMin, kHold * a[i][i]);
    a[i][i] += hold;
    b[i] += hold * static_cast<double>(theta_[i]);
  }
  descend(a, b);
  invert(a);
}

void Regression::descend(const std::array<Row, kFeatures>& a, const Row& b) noexcept {
  Row theta;
  std::copy(theta_.begin(), theta_.end(), theta.begin());
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (std::size_t i = 0; i < kFeatures; ++i) {
      double rest = b[i];
      for (std::size_t j = 0; j < kFeatures; ++j) rest -= j == i ? 0.0 : a[i][j] * theta[j];
      theta[i] = std::max(0.0, rest / a[i][i]);
    }
  }
  for (std::size_t i = 0; i < kFeatures; ++i) theta_[i] = static_cast<float>(theta[i]);
}

// Gauss-Jordan: positive definite, so the diagonal serves as pivots.
void Regression::invert(std::array<Row, kFeatures> a) noexcept {
  std::array<Row, kFeatures> inverse{};
  for (std::size_t i = 0; i < kFeatures; ++i) inverse[i][i] = 1;
  for (std::size_t p = 0; p < kFeatures; ++p) {
    const double pivot = std::max(a[p][p], kHoldMin);
    for (std::size_t j = 0; j < kFeatures; ++j) {
      a[p][j] /= pivot;
      inverse[p][j] /= pivot;
    }
    for (std::size_t i = 0; i < kFeatures; ++i) {
      if (i == p) continue;
      const double factor = a[i][p];
      for (std::size_t j = 0; j < kFeatures; ++j) {
        a[i][j] -= factor * a[p][j];
        inverse[i][j] -= factor * inverse[p][j];
      }
    }
  }
  for (std::size_t i = 0; i < kFeatures; ++i) {
    for (std::size_t j = i; j < kFeatures; ++j)
      inverse_[i][j] = static_cast<float>(i == j ? inverse[i][j] : inverse[i][j] + inverse[j][i]);
  }
}

}  // namespace llmd::scheduling
