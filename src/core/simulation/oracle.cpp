#include "simulation/oracle.h"

#include <algorithm>

#include "simulation/to_duration.h"

namespace llmd::simulation {
namespace {

constexpr int kStepsMax = 100'000;
constexpr double kToleranceShare = 0.1;
constexpr double kToleranceMs = 1;

bool has_first_token(const std::vector<EngineEvent>& events, std::uint64_t request) {
  return std::ranges::any_of(events,
                             [&](const EngineEvent& event) { return event.request == request && event.first_token; });
}

}  // namespace

std::optional<Duration> time_to_first_token(const EndpointMoment& endpoint, const SimRequest& request,
                                            const HardwareProfile& profile, TimePoint now) {
  SimEngine engine{endpoint.engine};
  const auto step = [&](TimePoint begins) {
    const double seconds = to_seconds(engine.begin_step()) * endpoint.slow;
    return std::max(begins, endpoint.paused_until) + to_duration(seconds);
  };
  const TimePoint arrives = now + to_duration(profile.submit_s);
  std::optional<TimePoint> ends = endpoint.step_ends;
  while (ends && *ends <= arrives) {
    (void)engine.end_step();
    ends = engine.busy() ? std::optional{step(*ends)} : std::nullopt;
  }
  const std::uint32_t output = profile.output_tokens_of(request.prompt_tokens, request.output_tokens);
  if (!engine.submit(request, std::max(1U, output))) return std::nullopt;
  if (!ends) ends = step(arrives);
  for (int steps = 0; steps < kStepsMax; ++steps) {
    if (has_first_token(engine.end_step(), request.id)) return *ends + to_duration(profile.stream_s) - now;
    ends = step(*ends);
  }
  return std::nullopt;
}

void judge(std::span<const std::optional<Duration>> times, std::uint32_t chosen, OracleTally& tally) {
  std::optional<Duration> least;
  std::optional<Duration> most;
  for (const auto& time : times) {
    if (!time) continue;
    least = std::min(least.value_or(*time), *time);
    most = std::max(most.value_or(*time), *time);
  }
  if (!least) return;
  ++tally.decisions;
  const std::optional<Duration> own = chosen < times.size() ? times[chosen] : std::nullopt;
  const double least_ms = to_milliseconds(*least);
  const double regret_ms = to_milliseconds(own.value_or(*most)) - least_ms;  // where it fails it is as bad as the worst
  tally.regret_ms += regret_ms;
  if (own && regret_ms <= std::max(kToleranceShare * least_ms, kToleranceMs)) ++tally.best;
}

}  // namespace llmd::simulation
