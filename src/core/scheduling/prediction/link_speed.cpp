#include "scheduling/prediction/link_speed.h"

#include <algorithm>

#include "model/latency_basis.h"
#include "model/link_table.h"

namespace llmd::scheduling {
namespace {

constexpr float kSlownessMax = 1'000;  // a reading of next to nothing must not make numbers endless
constexpr float kLatencyMaxMs = 10'000;

}  // namespace

LinkSpeed link_between(const PluginInput& input, EndpointIndex from, EndpointIndex to) noexcept {
  LinkSpeed speed;
  if (input.links == nullptr || from >= input.endpoints.size()) return speed;
  const Link* link = input.links->find(input.endpoints[from].endpoint->name, input.endpoints[to].endpoint->name);
  if (link == nullptr) return speed;
  const float bandwidth = input.fresh(link->bandwidth_mbps).value_or(0.0F);
  if (bandwidth > 0) speed.slowness = std::min(kSlownessMax, kLinkReferenceMbps / bandwidth);
  speed.latency_ms = std::clamp(input.fresh(link->latency_ms).value_or(0.0F), 0.0F, kLatencyMaxMs);
  return speed;
}

float handoff_ms(const HandoffPrediction& handoff, float moved, const LinkSpeed& link) noexcept {
  return handoff.base_ms + moved * (handoff.moved_ms * link.slowness + handoff.received_ms) +
         handoff.latency_ms * link.latency_ms;
}

}  // namespace llmd::scheduling
