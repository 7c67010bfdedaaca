#pragma once

#include <cstddef>

#include "base/clock.h"
#include "eppmetrics/plugin_times.h"
#include "scheduling/plugin_timing.h"

namespace llmd::routing {

/// Times the plugins of one decision by the clock: about 50 ns a call of a plugin.
class PluginTimer final : public scheduling::PluginTiming {
 public:
  explicit PluginTimer(const eppmetrics::PluginTimes& times) noexcept : times_{times} {}
  void begin() noexcept override { began_ = SteadyClock::now(); }
  void end(std::size_t place) noexcept override { times_.took(place, SteadyClock::now() - began_); }

 private:
  const eppmetrics::PluginTimes& times_;
  TimePoint began_{};
};

}  // namespace llmd::routing
