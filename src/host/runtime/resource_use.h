#pragma once

#include <optional>

#include "base/clock.h"

namespace llmd {

/// What this process takes of the machine. Not thread-safe.
class ResourceUse {
 public:
  struct Shares {
    std::optional<double> cpu;     // 0..1 of all cores, since the sample before; none at the first
    std::optional<double> memory;  // 0..1 of the machine's memory: what is resident
  };
  /// Two system calls and a small file.
  [[nodiscard]] Shares sample(TimePoint now);

 private:
  std::optional<double> cpu_seconds_;
  TimePoint sampled_at_{};
};

}  // namespace llmd
