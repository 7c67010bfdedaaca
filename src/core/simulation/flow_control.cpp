#include "simulation/flow_control.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

namespace llmd::simulation {
namespace {

constexpr std::uint64_t kBytesPerToken = 4;  // of a body, about

std::string flow_of(const SimRequest& request) { return fmt::format("tenant-{}", request.tenant); }

}  // namespace

FlowControl::FlowControl(flow::FlowRules rules, flow::SaturationGate gate)
    : controller_{std::move(rules)}, gate_{std::move(gate)} {}

Result<std::unique_ptr<FlowControl>> FlowControl::make(const flow::FlowConfig& flow,
                                                       const scheduling::SchedulingConfig& config) {
  LLMD_TRY(flow::FlowRules rules, flow::make_rules(flow));
  LLMD_TRY(flow::SaturationGate gate, flow::SaturationGate::make(flow, config));
  return std::unique_ptr<FlowControl>{new FlowControl{std::move(rules), std::move(gate)}};
}

bool FlowControl::enter(const SimRequest& request, std::uint32_t cached_tokens, TimePoint now) {
  const std::string flow = flow_of(request);
  flow::FlowItem item{.id = request.id,
                      .fairness_id = flow,
                      .priority = request.priority,
                      .bytes = kBytesPerToken * request.prompt_tokens,
                      .prompt_tokens = request.prompt_tokens,
                      .uncached_tokens = request.prompt_tokens - std::min(request.prompt_tokens, cached_tokens),
                      .received = now};
  if (request.slo_ttft_ms) {
    item.ttft_objective =
        std::chrono::duration_cast<Duration>(std::chrono::duration<float, std::milli>(*request.slo_ttft_ms));
  }
  return controller_.enqueue(item, now).has_value();
}

void FlowControl::look(const EndpointSnapshot& snapshot, std::span<const scheduling::LiveLoad> live, TimePoint now,
                       std::vector<Leaving>& leaving) {
  if (controller_.waiting() == 0) return;
  departures_.clear();
  (void)controller_.step(gate_.read({.snapshot = snapshot, .live = live, .now = now}), now, departures_);
  for (const flow::Departure& departure : departures_) {
    const bool dispatched = departure.outcome == flow::Outcome::kDispatched;
    if (dispatched)
      running_.insert_or_assign(
          departure.id, Running{.band = departure.band, .output_tokens_expected = departure.output_tokens_expected});
    leaving.push_back({.id = departure.id, .dispatched = dispatched});
  }
}

void FlowControl::finished(const SimRequest& request, std::uint32_t output_tokens, TimePoint now) {
  const auto found = running_.find(request.id);
  if (found == running_.end()) return;
  const std::string flow = flow_of(request);
  controller_.finish({.band = found->second.band,
                      .fairness_id = flow,
                      .charge = {.prompt_tokens = request.prompt_tokens,
                                 .output_tokens_expected = found->second.output_tokens_expected},
                      .output_tokens = output_tokens},
                     now);
  running_.erase(found);
}

}  // namespace llmd::simulation
