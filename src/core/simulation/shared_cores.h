#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"

namespace llmd::simulation {

/// Workers on one machine, pinned to its cores (or GPUs) in turn. Those on the same core share it equally while several
/// have a step under way, and busy cores slow each other down. A step goes on at
/// 1 / (running on its core * (1 + sharing_slowdown if several) * (1 + neighbour_slowdown * other busy cores)).
/// begin() and end() cost O(workers on the core), with a neighbour_slowdown O(cores and steps under way).
class SharedCores {
 public:
  struct Options {
    std::uint32_t workers = 1;
    std::uint32_t cores = 1;        // above 0
    double neighbour_slowdown = 0;  // as HardwareProfile has them
    double sharing_slowdown = 0;
  };
  explicit SharedCores(const Options& options);

  /// A step that would take `work` with the machine to itself. Pre: none of this worker is under way. Returns the
  /// workers whose ends() have moved, this one among them; valid until the next call of begin() or end().
  std::span<const std::uint32_t> begin(std::uint32_t worker, Duration work, TimePoint now);
  /// It is done, or will never be; the same. Unless one is under way nothing moves.
  std::span<const std::uint32_t> end(std::uint32_t worker, TimePoint now);
  /// When its step is done if the others stay as they are. Pre: one is under way.
  [[nodiscard]] TimePoint ends(std::uint32_t worker) const;

 private:
  struct Core {
    std::vector<std::uint32_t> running;
    TimePoint at{};  // what is left is of this time
  };
  [[nodiscard]] Core& core_of(std::uint32_t worker) { return cores_[worker % cores_.size()]; }
  [[nodiscard]] double slowness(const Core& core) const;  // how many times as long its steps take
  void pass(Core& core, TimePoint now);
  void pass_all(TimePoint now);
  std::span<const std::uint32_t> all_running();

  const double neighbour_slowdown_;
  const double sharing_slowdown_;
  std::vector<Core> cores_;
  std::uint32_t busy_ = 0;      // cores with a step under way
  std::vector<double> left_s_;  // of each worker's step
  std::vector<std::uint32_t> moved_;
};

}  // namespace llmd::simulation
