#include "apps/sim/forecast.h"

#include <fmt/format.h>

#include <cmath>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>

#include "forecast/make_forecaster.h"
#include "simulation/load_sampler.h"
#include "simulation/workloads/scaled_arrivals.h"

namespace llmd::sim {
namespace {

using simulation::LoadSample;

constexpr double kJudgedSecondsMin = 30;
constexpr std::string_view kBaseline = "last-value";

struct LoadKind {
  std::string_view name;
  float (*of)(const LoadSample&);
};
constexpr std::array<LoadKind, 3> kLoads{{
    {"requests", [](const LoadSample& sample) { return static_cast<float>(sample.requests); }},
    {"tokens", [](const LoadSample& sample) { return static_cast<float>(sample.tokens); }},
    {"busy", [](const LoadSample& sample) { return static_cast<float>(sample.busy); }},
}};

/// One kind of forecaster on one kind of load.
class Contestant {
 public:
  Contestant(std::string_view model, std::uint32_t endpoints)
      : forecaster_{forecast::make_forecaster(model, endpoints)} {}

  /// One step: what was said of these values earlier is judged if it is to `count`, then it learns and says more.
  void step(std::span<const std::optional<float>> values, bool count) {
    for (std::size_t h = 0; count && h < kJudgedSteps.size(); ++h) {
      if (said_.size() < kJudgedSteps[h]) continue;
      const std::vector<float>& then = said_[said_.size() - kJudgedSteps[h]][h];
      for (std::size_t i = 0; i < values.size(); ++i) {
        const auto error = static_cast<double>(then[i] - *values[i]);
        absolute_[h] += std::abs(error);
        squares_[h] += error * error;
        ++judged_[h];
      }
    }
    const TimePoint began = SteadyClock::now();
    forecaster_->step(values);
    stepping_ += SteadyClock::now() - began;
    ++steps_;
    std::array<std::vector<float>, kJudgedSteps.size()>& now = said_.emplace_back();
    for (std::size_t h = 0; h < kJudgedSteps.size(); ++h) {
      for (std::uint32_t i = 0; i < values.size(); ++i)
        now[h].push_back(forecaster_->forecast(i, kJudgedSteps[h])->mean);
    }
    if (said_.size() > kJudgedSteps.back()) said_.pop_front();
  }

  [[nodiscard]] ForecastErrors errors() const {
    ForecastErrors errors;
    for (std::size_t h = 0; h < kJudgedSteps.size(); ++h) {
      if (judged_[h] == 0) continue;
      errors.mean_absolute[h] = absolute_[h] / static_cast<double>(judged_[h]);
      errors.root_mean_square[h] = std::sqrt(squares_[h] / static_cast<double>(judged_[h]));
    }
    if (steps_ > 0) errors.step_us = to_seconds(stepping_) * 1e6 / static_cast<double>(steps_);
    return errors;
  }

 private:
  std::unique_ptr<forecast::Forecaster> forecaster_;
  std::deque<std::array<std::vector<float>, kJudgedSteps.size()>> said_;  // at each of the last steps, the oldest first
  std::array<double, kJudgedSteps.size()> absolute_{};
  std::array<double, kJudgedSteps.size()> squares_{};
  std::array<std::uint64_t, kJudgedSteps.size()> judged_{};
  Duration stepping_{};
  std::uint64_t steps_ = 0;
};

/// All of them on one run.
class Judge final : public simulation::LoadSampler {
 public:
  Judge(std::uint32_t endpoints, Duration until) : half_{until / 2}, until_{until}, values_(endpoints) {
    for (std::size_t i = 0; i < kLoads.size() * forecast::forecaster_names().size(); ++i)
      contestants_.emplace_back(forecast::forecaster_names()[i % forecast::forecaster_names().size()], endpoints);
  }

  void sample(Duration at, std::span<const LoadSample> loads) override {
    if (at > until_) return;  // no more arrive: load falls to nothing, which all can foresee
    const bool count = at > half_;
    if (count) ++judged_;
    const std::size_t models = forecast::forecaster_names().size();
    for (std::size_t load = 0; load < kLoads.size(); ++load) {
      for (std::size_t i = 0; i < loads.size(); ++i) {
        const float value = kLoads[load].of(loads[i]);
        values_[i] = value;
        if (count) sums_[load] += static_cast<double>(value) / static_cast<double>(loads.size());
      }
      for (std::size_t model = 0; model < models; ++model) contestants_[load * models + model].step(values_, count);
    }
  }

  void report(ForecastComparison& comparison) const {
    const auto names = forecast::forecaster_names();
    comparison.judged_s = static_cast<double>(judged_);
    const double samples = static_cast<double>(std::max<std::uint64_t>(1, judged_));
    comparison.mean_requests = sums_[0] / samples;
    comparison.mean_tokens = sums_[1] / samples;
    comparison.mean_busy = sums_[2] / samples;
    const auto baseline = static_cast<std::size_t>(std::ranges::find(names, kBaseline) - names.begin());
    for (std::size_t load = 0; load < kLoads.size(); ++load) {
      const ForecastErrors last = contestants_[load * names.size() + baseline].errors();
      for (std::size_t model = 0; model < names.size(); ++model) {
        ForecastErrors& errors = comparison.errors.emplace_back(contestants_[load * names.size() + model].errors());
        errors.load = kLoads[load].name;
        errors.model = names[model];
        for (std::size_t h = 0; h < kJudgedSteps.size(); ++h) {
          errors.of_last_value[h] = last.mean_absolute[h] > 0 ? errors.mean_absolute[h] / last.mean_absolute[h] : 1;
          errors.square_of_last_value[h] =
              last.root_mean_square[h] > 0 ? errors.root_mean_square[h] / last.root_mean_square[h] : 1;
        }
      }
    }
  }

 private:
  Duration half_;
  Duration until_;
  std::vector<std::optional<float>> values_;
  std::vector<Contestant> contestants_;  // by load, then by model
  std::array<double, kLoads.size()> sums_{};
  std::uint64_t judged_ = 0;
};

}  // namespace

Result<ForecastComparison> compare_forecasts(const NamedWorkload& workload, const NamedPolicy& policy,
                                             const CompareOptions& options,
                                             const std::function<void(std::string_view)>& progress) {
  if (progress) progress(fmt::format("reading {}", workload.name));
  LLMD_TRY(LoadPlan plan, plan_load(workload, options, options.fleet.seed));
  Judge judge{plan.fleet.endpoints, plan.fleet.measure_until};
  plan.fleet.load_sampler = &judge;
  simulation::ScaledArrivals scaled{workload.make(plan.fleet.seed), plan.factor};
  const auto chooses = policy.make(plan.fleet.seed);
  const auto flow = policy.make_flow ? policy.make_flow() : nullptr;
  if (progress) progress(fmt::format("{} on {}", policy.name, workload.name));
  (void)run_fleet(plan.fleet, scaled, *chooses, flow.get());
  ForecastComparison comparison{.workload = workload.name, .policy = policy.name, .errors = {}};
  judge.report(comparison);
  if (comparison.judged_s < kJudgedSecondsMin) {
    return fail(ErrorCode::kInvalidRequest,
                fmt::format("only {:.0f} s of workload {} could be judged; at least {:.0f} are needed",
                            comparison.judged_s, workload.name, kJudgedSecondsMin),
                "take more --requests, or less --load");
  }
  return comparison;
}

std::string table(const ForecastComparison& comparison) {
  std::string out = fmt::format(
      "{} with {}: {:.0f} s judged; an endpoint has {:.1f} requests, {:.0f} tokens, is {:.0f} % busy\n"
      "{:<9} {:<13} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
      comparison.workload, comparison.policy, comparison.judged_s, comparison.mean_requests, comparison.mean_tokens,
      100 * comparison.mean_busy, "load", "model", "MAE 5 s", "of last", "10 s", "of last", "RMSE 5 s", "10 s",
      "us/step");
  for (const ForecastErrors& each : comparison.errors) {
    out += fmt::format("{:<9} {:<13} {:>9.4g} {:>9.3f} {:>9.4g} {:>9.3f} {:>9.3f} {:>9.3f} {:>9.1f}\n", each.load,
                       each.model, each.mean_absolute[0], each.of_last_value[0], each.mean_absolute[1],
                       each.of_last_value[1], each.square_of_last_value[0], each.square_of_last_value[1], each.step_us);
  }
  return out;
}

std::string json(const ForecastComparison& comparison) {
  nlohmann::ordered_json forecasts = nlohmann::ordered_json::array();
  for (const ForecastErrors& each : comparison.errors) {
    nlohmann::ordered_json entry{{"load", each.load}, {"model", each.model}};
    for (std::size_t h = 0; h < kJudgedSteps.size(); ++h) {
      const std::string ahead = fmt::format("_{}s", kJudgedSteps[h]);
      entry["mae" + ahead] = each.mean_absolute[h];
      entry["mae_of_last_value" + ahead] = each.of_last_value[h];
      entry["rmse" + ahead] = each.root_mean_square[h];
      entry["rmse_of_last_value" + ahead] = each.square_of_last_value[h];
    }
    forecasts.push_back(std::move(entry));
  }
  const nlohmann::ordered_json document{
      {"workload", comparison.workload},       {"policy", comparison.policy},
      {"judged_s", comparison.judged_s},       {"mean_requests", comparison.mean_requests},
      {"mean_tokens", comparison.mean_tokens}, {"mean_busy", comparison.mean_busy},
      {"forecasts", std::move(forecasts)}};
  return document.dump(2) + "\n";
}

}  // namespace llmd::sim
