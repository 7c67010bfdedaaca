#include "simulation/fleet_outliers.h"

#include <algorithm>

#include "base/hash.h"
#include "base/rng.h"
#include "model/peer_class.h"

namespace llmd::simulation {
namespace {

constexpr float kKilo = 1'000;

scheduling::PluginInput plugin_input(const PolicyInput& input) {
  return {.request = input.request,
          .endpoints = input.snapshot.endpoints,
          .matched_blocks = {},
          .live = input.live,
          .serves = {},
          .now = input.now,
          .metric_age_max = scheduling::SchedulingConfig{}.metric_age_max};
}

}  // namespace

health::OutlierMember FleetOutliers::member_of(const EndpointState& state) {
  health::OutlierMember member;
  member.set_peer_class(xxh64(peer_class(*state.endpoint)));
  return member;
}

FleetOutliers::FleetOutliers(const health::OutlierOptions& options, const EndpointSnapshot& snapshot)
    : detector_{options}, flats_(snapshot.endpoints.size()) {
  for (const EndpointState& state : snapshot.endpoints) {
    members_.push_back(member_of(state));
    names_.push_back(state.endpoint->name);
  }
  for (health::OutlierMember& member : members_) all_.push_back(&member);
}

void FleetOutliers::hide(const PolicyInput& input, EndpointSnapshot& snapshot) {
  if (reduced_ == 0) return;
  const std::uint64_t request = Rng{input.id}.next();
  const auto admitted = [&](std::uint32_t place) {
    const EndpointState& state = snapshot.endpoints[place];
    return admits(state.traffic, request, state.endpoint->name, input.live[place].requests, input.now);
  };
  const auto ready = [&](std::uint32_t place) { return snapshot.endpoints[place].health == EndpointHealth::kReady; };
  for (std::uint32_t place = 0; place < members_.size(); ++place) {
    if (!members_[place].reduced() || !ready(place) || admitted(place)) continue;
    bool other = false;
    for (std::uint32_t peer = 0; peer < members_.size() && !other; ++peer)
      other = ready(peer) && members_[peer].peer_class() == members_[place].peer_class() && admitted(peer);
    if (!other) continue;
    hidden_.push_back({place, snapshot.endpoints[place].health});
    snapshot.endpoints[place].health = EndpointHealth::kDraining;
  }
}

void FleetOutliers::unhide(EndpointSnapshot& snapshot) {
  for (const Hidden& each : hidden_) snapshot.endpoints[each.place].health = each.health;
  hidden_.clear();
}

LatencyBasis FleetOutliers::sent(const PolicyInput& input, const PolicyChoice& choice, EndpointSnapshot& snapshot) {
  if (!on()) return {};
  EndpointState& state = snapshot.endpoints[choice.decode];
  LatencyBasis basis = yardstick_.basis_of(plugin_input(input), choice.decode);
  basis.cached = std::min(basis.prompt, static_cast<float>(choice.cached_tokens) / kKilo);
  yardstick_.sent(state.endpoint->name, basis, input.now);
  members_[choice.decode].on_sent(detector_.options(), input.now);
  state.traffic = members_[choice.decode].share();
  return basis;
}

void FleetOutliers::ended(const PolicyOutcome& outcome, const LatencyBasis& expected, TimePoint sent_at,
                          TimePoint now) {
  if (!on()) return;
  health::OutlierMember& member = members_[outcome.endpoint];
  member.on_ended(outcome.failed, detector_.options(), now);
  flats_[outcome.endpoint].on_ended();
  if (outcome.failed || outcome.attempts > 1) return;
  const std::string& name = names_[outcome.endpoint];
  scheduling::ObservedLatency seen{
      .endpoint = name, .cached_tokens = outcome.cached_tokens, .output_tokens = outcome.output_tokens};
  if (!outcome.prefilled_apart) seen.ttft_ms = static_cast<float>(to_milliseconds(outcome.ttft));
  if (outcome.output_tokens > 1) seen.tpot_ms = static_cast<float>(to_milliseconds(outcome.tpot));
  const scheduling::LatencyRatios ratios = yardstick_.learn(expected, seen, now);
  member.on_latency({.sent_at = sent_at, .ttft_ratio = ratios.ttft, .tpot_ratio = ratios.tpot}, now);
}

void FleetOutliers::on_readings(std::uint32_t place, EndpointState& state, std::uint32_t inflight, TimePoint at) {
  if (on()) flats_[place].on_scrape(state, inflight, at);
}

void FleetOutliers::look(EndpointSnapshot& snapshot, TimePoint now, std::vector<ShareChange>& changes) {
  if (!detector_.due(now)) return;
  for (std::uint32_t place = 0; place < members_.size(); ++place)
    members_[place].set_serving(snapshot.endpoints[place].health == EndpointHealth::kReady);
  if (!detector_.look(all_, now)) return;
  reduced_ = 0;
  for (std::uint32_t place = 0; place < members_.size(); ++place) {
    if (members_[place].reduced()) ++reduced_;
    TrafficShare& shown = snapshot.endpoints[place].traffic;
    if (shown.share != members_[place].share().share) changes.push_back({now, place, members_[place].share()});
    shown = members_[place].share();
  }
}

void FleetOutliers::lost(std::uint32_t place, EndpointSnapshot& snapshot, TimePoint now,
                         std::vector<ShareChange>& changes) {
  EndpointState& state = snapshot.endpoints[place];
  if (members_[place].reduced()) {
    --reduced_;
    changes.push_back({now, place, {}});
  }
  members_[place] = member_of(state);
  flats_[place] = {};
  state.traffic = {};
  yardstick_.forget(state.endpoint->name);
}

}  // namespace llmd::simulation
