#include "simulation/shared_cores.h"

#include <algorithm>

#include "simulation/to_duration.h"

namespace llmd::simulation {
namespace {

constexpr double kLongest = 1e9;  // seconds: more than any run, and a Duration still holds it

}  // namespace

SharedCores::SharedCores(const Options& options)
    : neighbour_slowdown_{options.neighbour_slowdown},
      sharing_slowdown_{options.sharing_slowdown},
      cores_(options.cores),
      left_s_(options.workers, 0.0) {}

double SharedCores::slowness(const Core& core) const {
  const auto running = static_cast<double>(core.running.size());
  const double turns = running > 1 ? running * (1 + sharing_slowdown_) : running;
  return turns * (1 + neighbour_slowdown_ * (busy_ - 1));
}

void SharedCores::pass(Core& core, TimePoint now) {
  if (!core.running.empty()) {
    const double each = to_seconds(now - core.at) / slowness(core);
    for (const std::uint32_t worker : core.running) left_s_[worker] = std::max(0.0, left_s_[worker] - each);
  }
  core.at = now;
}

void SharedCores::pass_all(TimePoint now) {
  for (Core& core : cores_) pass(core, now);
}

std::span<const std::uint32_t> SharedCores::all_running() {
  moved_.clear();
  for (const Core& core : cores_) moved_.insert(moved_.end(), core.running.begin(), core.running.end());
  return moved_;
}

std::span<const std::uint32_t> SharedCores::begin(std::uint32_t worker, Duration work, TimePoint now) {
  Core& core = core_of(worker);
  const bool wakes = core.running.empty();
  const bool all_move = wakes && neighbour_slowdown_ > 0;
  all_move ? pass_all(now) : pass(core, now);
  core.running.push_back(worker);
  left_s_[worker] = to_seconds(work);
  if (wakes) ++busy_;
  return all_move ? all_running() : core.running;
}

std::span<const std::uint32_t> SharedCores::end(std::uint32_t worker, TimePoint now) {
  Core& core = core_of(worker);
  const auto found = std::ranges::find(core.running, worker);
  if (found == core.running.end()) return {};
  const bool all_move = core.running.size() == 1 && neighbour_slowdown_ > 0;
  all_move ? pass_all(now) : pass(core, now);
  core.running.erase(found);
  if (core.running.empty()) --busy_;
  return all_move ? all_running() : core.running;
}

TimePoint SharedCores::ends(std::uint32_t worker) const {
  const Core& core = cores_[worker % cores_.size()];
  return core.at + to_duration(std::min(kLongest, left_s_[worker] * slowness(core)));
}

}  // namespace llmd::simulation
