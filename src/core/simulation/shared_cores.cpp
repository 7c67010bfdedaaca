#include "simulation/shared_cores.h"

#include <algorithm>

#include "simulation/to_duration.h"

namespace llmd::simulation {

SharedCores::SharedCores(std::uint32_t workers, std::uint32_t cores) : cores_(cores), left_s_(workers, 0.0) {}

void SharedCores::pass(Core& core, TimePoint now) {
  if (!core.running.empty()) {
    const double each = to_seconds(now - core.at) / static_cast<double>(core.running.size());
    for (const std::uint32_t worker : core.running) left_s_[worker] = std::max(0.0, left_s_[worker] - each);
  }
  core.at = now;
}

void SharedCores::begin(std::uint32_t worker, Duration work, TimePoint now) {
  Core& core = cores_[worker % cores_.size()];
  pass(core, now);
  core.running.push_back(worker);
  left_s_[worker] = to_seconds(work);
}

void SharedCores::end(std::uint32_t worker, TimePoint now) {
  Core& core = cores_[worker % cores_.size()];
  pass(core, now);
  std::erase(core.running, worker);
}

TimePoint SharedCores::ends(std::uint32_t worker) const {
  const Core& core = cores_[worker % cores_.size()];
  return core.at + to_duration(left_s_[worker] * static_cast<double>(core.running.size()));
}

}  // namespace llmd::simulation
