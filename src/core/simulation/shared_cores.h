#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"

namespace llmd::simulation {

/// Workers that are pinned to cores (or GPUs) in turn: those on the same one share it equally while several have a step
/// under way.
class SharedCores {
 public:
  /// Pre: cores > 0.
  SharedCores(std::uint32_t workers, std::uint32_t cores);

  /// A step that would take `work` on a core of its own. Pre: none of this worker is under way.
  void begin(std::uint32_t worker, Duration work, TimePoint now);
  /// It is done, or will never be. Unless one is under way: nothing.
  void end(std::uint32_t worker, TimePoint now);
  /// When its step is done if the others stay as they are. Pre: one is under way.
  [[nodiscard]] TimePoint ends(std::uint32_t worker) const;
  /// Workers with a step under way on this worker's core.
  [[nodiscard]] std::span<const std::uint32_t> running_beside(std::uint32_t worker) const {
    return cores_[worker % cores_.size()].running;
  }

 private:
  struct Core {
    std::vector<std::uint32_t> running;
    TimePoint at{};  // what is left is of this time
  };
  void pass(Core& core, TimePoint now);

  std::vector<Core> cores_;
  std::vector<double> left_s_;  // of each worker's step
};

}  // namespace llmd::simulation
