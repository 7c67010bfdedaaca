#include "simulation/profile_fit.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace llmd::simulation {
namespace {

constexpr std::size_t kCosts = 7;
using Row = std::array<double, kCosts>;

constexpr double kOutlier = 5;        // times the median error
constexpr double kErrorFloor = 0.02;  // of which that is at least
constexpr int kSweeps = 50'000;
constexpr double kSettled = 1e-12;

/// How often a sample pays each cost.
Row row_of(const CostSample& sample) {
  return {sample.steps,
          sample.prefill_tokens,
          sample.prefill_kilotokens,
          sample.decode_sequences,
          sample.decode_kilotokens,
          sample.restored_tokens,
          sample.requests};
}

double predicted(const CostSample& sample, const Row& costs) {
  const Row row = row_of(sample);
  double seconds = 0;
  for (std::size_t i = 0; i < kCosts; ++i) seconds += row[i] * costs[i];
  return seconds;
}

/// Least squares without negative costs, by one coordinate after the other on the normal equations; few unknowns, so
/// many sweeps are cheap. `scales`: what an error of each sample is relative to.
Row solve(std::span<const CostSample> samples, std::span<const double> scales) {
  std::array<Row, kCosts> products{};
  Row targets{};
  for (std::size_t s = 0; s < samples.size(); ++s) {
    Row row = row_of(samples[s]);
    for (double& value : row) value /= scales[s];
    const double target = samples[s].seconds / scales[s];
    for (std::size_t i = 0; i < kCosts; ++i) {
      targets[i] += row[i] * target;
      for (std::size_t j = 0; j < kCosts; ++j) products[i][j] += row[i] * row[j];
    }
  }
  Row costs{};
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    double moved = 0;
    for (std::size_t i = 0; i < kCosts; ++i) {
      if (products[i][i] <= 0) continue;  // no sample has it
      double rest = targets[i];
      for (std::size_t j = 0; j < kCosts; ++j) rest -= j == i ? 0 : products[i][j] * costs[j];
      const double next = std::max(0.0, rest / products[i][i]);
      moved = std::max(moved, std::abs(next - costs[i]) * std::sqrt(products[i][i]));
      costs[i] = next;
    }
    if (moved < kSettled) break;
  }
  return costs;
}

/// By errors relative to what was measured, of which slow samples count less than quick ones: hardly moved by what was
/// disturbed, but too low.
Row solve_roughly(std::span<const CostSample> samples) {
  std::vector<double> scales;
  for (const CostSample& sample : samples) scales.push_back(sample.seconds);
  return solve(samples, scales);
}

/// By errors relative to what the costs found before predict.
Row solve_well(std::span<const CostSample> samples) {
  constexpr int kRounds = 4;
  constexpr double kLeast = 0.1;  // of what was measured
  std::vector<double> scales(samples.size());
  Row costs = solve_roughly(samples);
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t s = 0; s < samples.size(); ++s)
      scales[s] = std::max(predicted(samples[s], costs), kLeast * samples[s].seconds);
    costs = solve(samples, scales);
  }
  return costs;
}

double error_of(const CostSample& sample, const Row& costs) {
  return std::abs(predicted(sample, costs) - sample.seconds) / sample.seconds;
}

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  std::ranges::nth_element(values, values.begin() + at);
  return values[static_cast<std::size_t>(at)];
}

std::vector<CostSample> without_outliers(std::span<const CostSample> samples, const Row& costs) {
  std::vector<double> errors;
  for (const CostSample& sample : samples) errors.push_back(error_of(sample, costs));
  const double most = kOutlier * std::max(quantile(errors, 0.5), kErrorFloor);
  std::vector<CostSample> kept;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (errors[i] <= most) kept.push_back(samples[i]);
  }
  return kept;
}

void put(const Row& costs, HardwareProfile& profile) {
  constexpr double kStepMin = 1e-6;  // a step that takes no time would never end
  profile.step_s = std::max(costs[0], kStepMin);
  profile.prefill_token_s = costs[1];
  profile.prefill_token_per_kilotoken_s = costs[2];
  profile.decode_sequence_s = costs[3];
  profile.decode_sequence_per_kilotoken_s = costs[4];
  profile.restore_token_s = costs[5];
  profile.submit_s = costs[6];
  profile.stream_s = 0;
}

}  // namespace

double predicted_seconds(const CostSample& sample, const HardwareProfile& profile) noexcept {
  return predicted(sample, {profile.step_s, profile.prefill_token_s, profile.prefill_token_per_kilotoken_s,
                            profile.decode_sequence_s, profile.decode_sequence_per_kilotoken_s, profile.restore_token_s,
                            profile.submit_s + profile.stream_s});
}

Result<ProfileFit> fit_profile(std::span<const CostSample> samples, const HardwareProfile& base) {
  constexpr std::size_t kSamplesMin = 4;
  if (samples.size() < kSamplesMin) return fail(ErrorCode::kInvalidRequest, "fewer than four measurements");
  for (const CostSample& sample : samples) {
    if (!(sample.seconds > 0) || !std::isfinite(sample.seconds))
      return fail(ErrorCode::kInvalidRequest, "a measurement has no time");
  }
  std::vector<CostSample> kept = without_outliers(samples, solve_roughly(samples));
  const Row costs = solve_well(kept);
  ProfileFit fit{.profile = base, .samples = samples.size(), .left_out = samples.size() - kept.size()};
  put(costs, fit.profile);
  for (std::size_t kind = 0; kind < kCostSampleKinds; ++kind) {
    std::vector<double> errors;
    for (const CostSample& sample : kept) {
      if (static_cast<std::size_t>(sample.kind) == kind) errors.push_back(error_of(sample, costs));
    }
    fit.error_median[kind] = quantile(errors, 0.5);
    fit.error_p90[kind] = quantile(errors, 0.9);
  }
  return fit;
}

void scale_costs(double times, HardwareProfile& profile) noexcept {
  for (double* const cost :
       {&profile.step_s, &profile.prefill_token_s, &profile.prefill_token_per_kilotoken_s, &profile.decode_sequence_s,
        &profile.decode_sequence_per_kilotoken_s, &profile.restore_token_s}) {
    *cost *= times;
  }
}

}  // namespace llmd::simulation
