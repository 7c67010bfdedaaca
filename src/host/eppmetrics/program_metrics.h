#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "telemetry/metrics.h"

namespace llmd::eppmetrics {

/// The series of bands with program-aware-fairness, under llm-d's names: how long each program's requests waited, the
/// tokens that it got of late, and Jain's index of how even the waits are over programs (1: all wait alike; 1 / n: one
/// waits and the others do not). A program is a fairness id. Nothing is on the page before such a band dispatches. Not
/// thread-safe: the strand calls it.
class ProgramMetrics {
 public:
  static constexpr std::size_t kProgramsMax = 1'000;                 // of a process; the others count as one
  static constexpr Duration kIdleMax = std::chrono::seconds{3'600};  // llm-d's default; then one is forgotten

  /// `metrics` must outlive it.
  explicit ProgramMetrics(MetricsRegistry& metrics) : metrics_{metrics} {}

  /// One of its requests is let through after so long.
  void dispatched(std::string_view program, Duration waited, TimePoint now);
  /// One has ended, and with it the program has got so many tokens, as the policy weighs them.
  void finished(std::string_view program, double attained, TimePoint now);
  /// Its series read 0 from then on. O(programs).
  void forget_idle(TimePoint now);

 private:
  struct Program {
    Gauge* wait = nullptr;
    Gauge* attained = nullptr;
    double wait_mean_ms = 0;
    std::uint64_t dispatched = 0;
    TimePoint last{};
  };
  Program& program_of(std::string_view name);
  void show_evenness();

  MetricsRegistry& metrics_;
  std::unordered_map<std::string, Program> programs_;
  std::string key_;  // scratch
  Gauge* evenness_ = nullptr;
  // Over the programs whose requests were let through, of their mean waits:
  double sum_ = 0;
  double squares_ = 0;
  std::size_t count_ = 0;
};

}  // namespace llmd::eppmetrics
