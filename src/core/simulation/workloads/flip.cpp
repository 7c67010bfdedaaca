#include "simulation/workloads/flip.h"

#include <algorithm>

namespace llmd::simulation {
namespace {

SharedPrefixOptions half(SharedPrefixOptions half, GeneratorOptions common, std::uint64_t requests,
                         std::uint64_t seed) {
  common.requests = requests;
  common.seed = seed;
  half.common = common;
  return half;
}

std::uint64_t first_count(const FlipOptions& options) {
  const double share = 1 / (1 + std::max(options.second_rate, 1e-6));
  return static_cast<std::uint64_t>(share * static_cast<double>(options.common.requests));
}

}  // namespace

FlipWorkload::FlipWorkload(const FlipOptions& options)
    : first_count_{first_count(options)},
      first_{half(options.first, options.common, first_count_, options.common.seed)},
      second_{half(options.second, options.common, options.common.requests - first_count_, ~options.common.seed)} {}

std::optional<SimRequest> FlipWorkload::next() {
  if (auto request = first_.next()) {
    half_time_ = request->arrival;
    return request;
  }
  auto request = second_.next();
  if (!request) return request;
  request->id += first_count_;
  request->arrival += half_time_;
  return request;
}

}  // namespace llmd::simulation
