#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace llmd::scheduling {

/// A plugin in a place where its calls can be timed.
struct TimedPlugin {
  std::string_view extension_point;  // as llm-d names the place: Filter, Scorer, Picker, ...; static text
  std::string type;
  std::string name;
};

/// Learns how long plugins take. The host implements it with a clock, as the core reads none. One object a thread: a
/// call begins after the one before has ended. `place` counts Scheduler::timed_plugins(); one beyond them is of nobody.
class PluginTiming {
 public:
  virtual ~PluginTiming() = default;
  virtual void begin() noexcept = 0;
  virtual void end(std::size_t place) noexcept = 0;
};

/// Times its own life as a call of the plugin. Nothing is done with a null `timing`.
class TimedCall {
 public:
  TimedCall(PluginTiming* timing, std::size_t place) noexcept : timing_{timing}, place_{place} {
    if (timing_ != nullptr) timing_->begin();
  }
  ~TimedCall() {
    if (timing_ != nullptr) timing_->end(place_);
  }
  TimedCall(const TimedCall&) = delete;
  TimedCall& operator=(const TimedCall&) = delete;

 private:
  PluginTiming* const timing_;
  const std::size_t place_;
};

}  // namespace llmd::scheduling
