#include "eppmetrics/program_metrics.h"

#include <array>

#include "eppmetrics/bounded_label.h"
#include "eppmetrics/flow_families.h"

namespace llmd::eppmetrics {

ProgramMetrics::Program& ProgramMetrics::program_of(std::string_view name) {
  key_ = name;
  if (const auto found = programs_.find(key_); found != programs_.end()) return found->second;
  if (programs_.size() >= kProgramsMax) key_ = kOtherValue;
  Program& program = programs_[key_];
  if (program.wait != nullptr) return program;
  const std::array<std::string_view, 1> values{key_};
  program.wait = &gauge_of(metrics_, kProgramWait, values);
  program.attained = &gauge_of(metrics_, kProgramAttained, values);
  return program;
}

void ProgramMetrics::dispatched(std::string_view program, Duration waited, TimePoint now) {
  Program& seen = program_of(program);
  sum_ -= seen.wait_mean_ms;
  squares_ -= seen.wait_mean_ms * seen.wait_mean_ms;
  if (seen.dispatched++ == 0) ++count_;
  seen.wait_mean_ms += (1e3 * to_seconds(waited) - seen.wait_mean_ms) / static_cast<double>(seen.dispatched);
  sum_ += seen.wait_mean_ms;
  squares_ += seen.wait_mean_ms * seen.wait_mean_ms;
  seen.wait->set(seen.wait_mean_ms);
  seen.last = now;
  show_evenness();
}

void ProgramMetrics::finished(std::string_view program, double attained, TimePoint now) {
  Program& seen = program_of(program);
  seen.last = now;
  if (key_ != kOtherValue) seen.attained->set(attained);
}

void ProgramMetrics::forget_idle(TimePoint now) {
  bool forgotten = false;
  for (auto& [name, program] : programs_) {
    if (now - program.last < kIdleMax) continue;
    program.wait->set(0);
    program.attained->set(0);
    program.dispatched = 0;
    program.wait_mean_ms = 0;
    forgotten = true;
  }
  if (!forgotten) return;
  sum_ = squares_ = 0;
  count_ = 0;
  for (const auto& [name, program] : programs_) {
    if (program.dispatched == 0) continue;
    sum_ += program.wait_mean_ms;
    squares_ += program.wait_mean_ms * program.wait_mean_ms;
    ++count_;
  }
  show_evenness();
}

void ProgramMetrics::show_evenness() {
  const bool even = count_ < 2 || squares_ <= 0;
  if (evenness_ == nullptr) evenness_ = &gauge_of(metrics_, kProgramEvenness);
  evenness_->set(even ? 1 : sum_ * sum_ / (static_cast<double>(count_) * squares_));
}

}  // namespace llmd::eppmetrics
