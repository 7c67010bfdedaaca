#include "simulation/summary.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

namespace llmd::simulation {
namespace {

/// Of sorted values.
double at_share(const std::vector<float>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return static_cast<double>(sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1]);
}

Percentiles percentiles(std::vector<float>& values) {
  std::ranges::sort(values);
  return {.p50 = at_share(values, 0.5), .p90 = at_share(values, 0.9), .p99 = at_share(values, 0.99)};
}

bool meets(const RequestResult& request, const DefaultObjectives& objectives) {
  if (request.failed) return false;
  const float ttft = request.slo_ttft_ms > 0 ? request.slo_ttft_ms : objectives.ttft_ms;
  const float tpot = request.slo_tpot_ms > 0 ? request.slo_tpot_ms : objectives.tpot_ms;
  return request.ttft_ms <= ttft && request.tpot_ms <= tpot;
}

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(std::max<std::size_t>(1, values.size()));
}

/// Standard deviation by mean.
double variation_of(std::span<const double> values) {
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return mean > 0 ? std::sqrt(squares / static_cast<double>(values.size())) / mean : 0;
}

// Jain, Chiu, Hawe 1984: (sum x)^2 / (n * sum x^2).
double jain(const std::map<std::uint16_t, std::pair<double, double>>& tenants) {
  double sum = 0;
  double squares = 0;
  for (const auto& [tenant, counts] : tenants) {
    const double share = counts.first / counts.second;
    sum += share;
    squares += share * share;
  }
  return squares > 0 ? sum * sum / (static_cast<double>(tenants.size()) * squares) : 1.0;
}

}  // namespace

Summary summarise(const FleetResult& result, const DefaultObjectives& objectives) {
  Summary summary;
  std::vector<float> ttft;
  std::vector<float> tpot;
  std::vector<float> total;
  std::map<std::uint16_t, std::pair<double, double>> tenants;  // met, all
  double prompt = 0;
  double cached = 0;
  double met = 0;
  for (const RequestResult& request : result.requests) {
    ++summary.requests;
    const bool good = meets(request, objectives);
    auto& tenant = tenants[request.tenant];
    tenant.first += good ? 1 : 0;
    tenant.second += 1;
    met += good ? 1 : 0;
    if (request.failed) {
      ++summary.failed;
      continue;
    }
    ttft.push_back(request.ttft_ms);
    if (request.output_tokens > 1) tpot.push_back(request.tpot_ms);
    total.push_back(request.total_ms);
    prompt += request.prompt_tokens;
    cached += request.cached_tokens;
  }
  summary.ttft_ms = percentiles(ttft);
  for (std::size_t i = 0; i < kQuantiles; ++i) summary.ttft_quantiles_ms[i] = at_share(ttft, quantile_share(i));
  summary.tpot_ms = percentiles(tpot);
  summary.total_ms = percentiles(total);
  summary.goodput = summary.requests == 0 ? 0 : met / static_cast<double>(summary.requests);
  if (result.measured_s > 0) {
    summary.goodput_rps = met / result.measured_s;
    summary.arrivals_rps = static_cast<double>(summary.requests) / result.measured_s;
    summary.tokens_per_s = static_cast<double>(result.output_tokens) / result.measured_s;
    summary.busy_mean = mean_of(result.busy_s) / result.measured_s;
  }
  summary.hit_rate = prompt > 0 ? cached / prompt : 0;
  summary.fairness = jain(tenants);
  summary.busy_variation = variation_of(result.busy_s);
  summary.load_variation = variation_of(result.load);
  if (const auto asked = static_cast<double>(result.oracle.decisions); asked > 0) {
    summary.oracle_decisions = result.oracle.decisions;
    summary.best_instance = static_cast<double>(result.oracle.best) / asked;
    summary.regret_ms = result.oracle.regret_ms / asked;
  }
  return summary;
}

Estimate estimate(std::span<const double> values) {
  if (values.empty()) return {};
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  if (values.size() == 1) return {.mean = mean, .half_width = 0};
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  // Student's t at 97.5 % for 1, 2, … degrees of freedom; beyond them within 1 %.
  constexpr std::array kStudent{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228};
  const double t = values.size() - 2 < kStudent.size() ? kStudent[values.size() - 2] : 1.96 + 2.5 / (count - 1);
  return {.mean = mean, .half_width = t * std::sqrt(squares / (count - 1) / count)};
}

}  // namespace llmd::simulation
