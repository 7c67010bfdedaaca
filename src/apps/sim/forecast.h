#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/sim/compare.h"
#include "base/error.h"

namespace llmd::sim {

/// How far ahead forecasts are judged, in steps of a second.
inline constexpr std::array<std::uint32_t, 2> kJudgedSteps{5, 10};

/// How one kind of forecaster did on one kind of load.
struct ForecastErrors {
  std::string load;                                         // requests, tokens, busy
  std::string model;                                        // forecast::forecaster_names()
  std::array<double, kJudgedSteps.size()> mean_absolute{};  // in the load's unit
  std::array<double, kJudgedSteps.size()> root_mean_square{};
  // The same over that of the last value; below 1 is better. 1 if the last value is never wrong.
  std::array<double, kJudgedSteps.size()> of_last_value{};
  std::array<double, kJudgedSteps.size()> square_of_last_value{};
  double step_us = 0;  // of this machine: one step of all endpoints
};

struct ForecastComparison {
  std::string workload;
  std::string policy;
  double judged_s = 0;       // the second half
  double mean_requests = 0;  // at an endpoint, in it: what the errors are to be seen against
  double mean_tokens = 0;
  double mean_busy = 0;
  std::vector<ForecastErrors> errors;  // by load, then as forecaster_names() has them
};

/// Runs the policy on the workload, samples each endpoint's load once a second (requests and tokens in flight, share of
/// the second in which it was busy), and lets every kind of forecaster learn from all samples. What they say of the
/// second half of the time is judged; they have not seen it when they say it. Errors: those of compare();
/// kInvalidRequest: the time is too short.
[[nodiscard]] Result<ForecastComparison> compare_forecasts(const NamedWorkload& workload, const NamedPolicy& policy,
                                                           const CompareOptions& options,
                                                           const std::function<void(std::string_view)>& progress);

/// For the terminal: a line a load and model.
[[nodiscard]] std::string table(const ForecastComparison& comparison);
/// Equal runs give equal bytes.
[[nodiscard]] std::string json(const ForecastComparison& comparison);

}  // namespace llmd::sim
