#include "health/flat_readings.h"

#include <algorithm>

namespace llmd::health {

std::string_view reading_name(LoadReading reading) noexcept {
  switch (reading) {
    case LoadReading::kWaiting: return "waiting_requests";
    case LoadReading::kRunning: return "running_requests";
    case LoadReading::kKvUsage: return "kv_usage";
  }
  return "";
}

void FlatReadings::add(LoadReading reading, float value, std::uint32_t inflight, TimePoint now) noexcept {
  constexpr std::uint32_t kIdleShare = 4;  // a quarter of the scrapes
  Run& run = runs_[static_cast<std::size_t>(reading)];
  if (run.value != value) run = {.value = value, .since = now, .ended_before = ended_};
  ++run.scrapes;
  if (inflight == 0) ++run.idle;
  run.inflight_max = std::max(run.inflight_max, inflight);
  const bool long_enough = run.scrapes >= kScrapes && ended_ - run.ended_before >= kEnded && now - run.since >= kTime;
  const bool never_idle = run.idle == 0;
  const bool came_and_went = run.inflight_max >= 2 && run.idle >= run.scrapes / kIdleShare;
  const bool ruled_out = value == 0 ? never_idle && reading != LoadReading::kWaiting : came_and_went;
  run.flat = long_enough && ruled_out;
}

void FlatReadings::on_scrape(EndpointState& state, std::uint32_t inflight, TimePoint now) noexcept {
  const auto look = [&](LoadReading which, auto& reading) {
    if (!reading.value || reading.at != now) return;
    add(which, static_cast<float>(*reading.value), inflight, now);
    if (flat(which)) reading.value.reset();
  };
  look(LoadReading::kWaiting, state.waiting_requests);
  look(LoadReading::kRunning, state.running_requests);
  look(LoadReading::kKvUsage, state.kv_usage);
}

}  // namespace llmd::health
