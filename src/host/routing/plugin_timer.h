#pragma once

#include <cstddef>
#include <optional>

#include "base/clock.h"
#include "eppmetrics/plugin_times.h"
#include "scheduling/plugin_timing.h"

namespace llmd::routing {

/// Times the plugins of one decision by the clock: about 50 ns a call of a plugin.
class PluginTimer final : public scheduling::PluginTiming {
 public:
  explicit PluginTimer(const eppmetrics::PluginTimes& times) noexcept : times_{times} {}
  void begin() noexcept override { began_ = SteadyClock::now(); }
  void end(std::size_t place) noexcept override {
    const Duration took = SteadyClock::now() - began_;
    times_.took(place, took);
    if (place == times_.prediction_place()) prediction_ = took;
  }
  /// How long predictions of latencies took; nothing if none were made.
  [[nodiscard]] std::optional<Duration> prediction() const noexcept { return prediction_; }

 private:
  const eppmetrics::PluginTimes& times_;
  TimePoint began_{};
  std::optional<Duration> prediction_{};
};

}  // namespace llmd::routing
