#include "simulation/workloads/scaled_arrivals.h"

#include <algorithm>
#include <utility>

#include "simulation/workloads/lengths.h"

namespace llmd::simulation {

ScaledArrivals::ScaledArrivals(std::unique_ptr<Workload> workload, double factor) noexcept
    : workload_{std::move(workload)}, factor_{std::max(0.0, factor)} {}

std::optional<SimRequest> ScaledArrivals::next() {
  std::optional<SimRequest> request = workload_->next();
  // Products and rounding keep the order, so arrivals still never go back.
  if (request) request->arrival = from_seconds(to_seconds(request->arrival) * factor_);
  return request;
}

}  // namespace llmd::simulation
