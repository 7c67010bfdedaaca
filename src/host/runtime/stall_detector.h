#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "telemetry/metrics.h"

namespace llmd {

/// A loop that did not come round in time.
struct Stall {
  std::string loop;
  Duration lasted{};      // so far
  std::string backtrace;  // of the loop's thread, one frame a line; empty if the thread did not answer the signal
};

/// Watches every running Loop of the process from a thread of its own. A loop that does not come round within
/// `threshold` (certainly seen beyond 1.5 times that) is counted in llmd_loop_stalls_total{loop} and logged once a
/// stall, with a backtrace of its thread. One object a process: it uses the real-time signal SIGRTMIN + 6.
class StallDetector {
 public:
  struct Options {
    Duration threshold = milliseconds{100};  // lower finds more and wakes idle loops more often: 4 times
                                             // in each threshold
    std::move_only_function<void(const Stall&)> on_stall{};  // beside the log line; called on the detector's thread
  };
  StallDetector(MetricsRegistry& metrics, Options options);
  ~StallDetector();
  StallDetector(const StallDetector&) = delete;
  StallDetector& operator=(const StallDetector&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace llmd
