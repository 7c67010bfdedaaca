#include "flow/saturation_gate.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

namespace llmd::flow {
namespace {

using scheduling::EndpointIndex;

constexpr std::string_view kStalenessParameter = "metricsStalenessThreshold";
constexpr Duration kSampleInterval = milliseconds{2};
constexpr std::uint32_t kProbe = 8;  // requests more on each endpoint, to see what one adds

struct Stages {
  bool prefills = false;
  bool decodes = false;
};

/// llm-d's stages: encode and unknown roles are in none.
Stages stages_of(const Endpoint& endpoint) {
  const auto label = endpoint.labels.find(std::string{kRoleLabel});
  const std::string_view role = label == endpoint.labels.end() ? std::string_view{} : label->second;
  const bool both = role == "both" || role == "prefill-decode" || role == "encode-prefill-decode";
  return {.prefills = both || role == "prefill" || role == "encode-prefill",
          .decodes = both || role.empty() || role == "decode"};
}

bool may_serve(EndpointHealth health) { return health != EndpointHealth::kDown && health != EndpointHealth::kDraining; }

}  // namespace

Result<SaturationGate> SaturationGate::make(const FlowConfig& flow, const scheduling::SchedulingConfig& config) {
  const std::string& name = flow.saturation_detector;
  const auto found = std::ranges::find(config.plugins, name, &scheduling::PluginInstance::name);
  scheduling::PluginInstance instance{.name = name, .type = name, .parameters = {}};
  if (found != config.plugins.end()) instance = *found;
  const scheduling::PluginSpec* spec = scheduling::find_plugin_spec(instance.type);
  if (spec == nullptr || spec->kind != scheduling::PluginKind::kSaturationDetector) {
    return fail(ErrorCode::kConfigInvalid,
                "flowControl names \"" + name + "\" as its saturation detector, which it is not",
                "utilization-detector and concurrency-detector are");
  }
  LLMD_TRY_VOID(scheduling::check_parameters(spec->type, spec->parameters, instance.parameters));
  const scheduling::ParameterReader reader{spec->parameters, instance.parameters, &config};
  SaturationGate gate;
  LLMD_TRY(gate.objects_, spec->make(reader));
  gate.detector_name_ = name;
  if (spec->find(kStalenessParameter) != nullptr) gate.age_max_ = reader.duration(kStalenessParameter);
  return gate;
}

void SaturationGate::Known::sample(std::uint32_t live, TimePoint now) noexcept {
  if (now - samples[(next_sample + kSamples - 1) % kSamples].at < kSampleInterval) return;
  samples[next_sample] = {.at = now, .live = live};
  next_sample = (next_sample + 1) % kSamples;
}

// The last sample before, or the oldest there is.
std::uint32_t SaturationGate::Known::live_at(TimePoint at) const noexcept {
  for (std::size_t i = 1; i <= kSamples; ++i) {
    const Sample& sample = samples[(next_sample + kSamples - i) % kSamples];
    const Sample& before = samples[(next_sample + 2 * kSamples - i - 1) % kSamples];
    if (sample.at <= at || i == kSamples || before.at == TimePoint{}) return sample.live;
  }
  return 0;
}

// Endpoints are told apart by name, as one that changes its labels is another object.
void SaturationGate::adopt(const EndpointSnapshot& snapshot) {
  std::map<std::string_view, Known> before;
  for (std::size_t i = 0; i < states_.size(); ++i) before.emplace(states_[i].endpoint->name, known_[i]);
  std::vector<Known> known(snapshot.endpoints.size());
  for (std::size_t i = 0; i < known.size(); ++i) {
    const Endpoint& endpoint = *snapshot.endpoints[i].endpoint;
    if (const auto found = before.find(endpoint.name); found != before.end()) known[i] = found->second;
    const Stages stages = stages_of(endpoint);
    known[i].prefills = stages.prefills;
    known[i].decodes = stages.decodes;
  }
  known_ = std::move(known);
  states_ = snapshot.endpoints;
}

void SaturationGate::bring_up_to_date(std::size_t i, const EndpointState& seen, std::uint32_t live_now, TimePoint now) {
  Known& known = known_[i];
  EndpointState& state = states_[i];
  state.health = seen.health;
  known.sample(live_now, now);
  const auto fresh = [&](const auto& reading) { return reading.value && now - reading.at <= age_max_; };
  std::int64_t waiting = std::int64_t{live_[i].requests} - known.running_most;
  if (fresh(seen.waiting_requests)) {
    if (known.read_at != seen.waiting_requests.at) {
      known.read_at = seen.waiting_requests.at;
      known.live_then = known.live_at(known.read_at);
    }
    const std::uint32_t running = seen.running_requests.value.value_or(0);
    known.running_most = std::max(known.running_most, running);
    std::int64_t more = std::int64_t{live_[i].requests} - known.live_then;
    if (more > 0) more = std::max<std::int64_t>(0, more - (known.running_most - running));
    waiting = *seen.waiting_requests.value + more;
  }
  state.waiting_requests = {static_cast<std::uint32_t>(std::max<std::int64_t>(0, waiting)), now};
  state.kv_usage = {fresh(seen.kv_usage) ? *seen.kv_usage.value : 0.0F, now};
}

void SaturationGate::remember(SaturationGate&& before) noexcept {
  states_ = std::move(before.states_);
  known_ = std::move(before.known_);
}

void SaturationGate::count_live(const Input& input, GateReading& reading) {
  const auto& seen = input.snapshot.endpoints;
  live_.resize(seen.size());
  const std::uint64_t share = ordinary_.empty() ? 0 : input.undecided / ordinary_.size();
  std::uint64_t rest = ordinary_.empty() ? 0 : input.undecided % ordinary_.size();
  const auto count = [&](EndpointIndex i, std::uint64_t undecided) {
    const std::uint32_t live_now = input.live.empty() ? seen[i].inflight_requests : input.live[i].requests;
    const std::uint64_t tokens = input.live.empty() ? seen[i].inflight_tokens : input.live[i].tokens;
    live_[i] = {.requests = live_now + static_cast<std::uint32_t>(undecided), .tokens = tokens};
    const auto& waiting = seen[i].waiting_requests;
    if (!waiting.value || input.now - waiting.at > age_max_) ++reading.stale;
    bring_up_to_date(i, seen[i], live_now, input.now);
  };
  for (const EndpointIndex i : ordinary_) {
    count(i, share + (rest > 0 ? 1 : 0));
    if (rest > 0) --rest;
  }
  for (const EndpointIndex i : trials_) count(i, 0);
}

GateReading SaturationGate::read(const Input& input) {
  const auto& seen = input.snapshot.endpoints;
  const bool same = std::ranges::equal(seen, states_, {}, &EndpointState::endpoint, &EndpointState::endpoint);
  if (!same) adopt(input.snapshot);
  prefill_.clear();
  decode_.clear();
  ordinary_.clear();
  trials_.clear();
  for (EndpointIndex i = 0; i < seen.size(); ++i) {
    if (may_serve(seen[i].health)) (seen[i].health == EndpointHealth::kProbing ? trials_ : ordinary_).push_back(i);
  }
  GateReading reading{.pool_empty = ordinary_.empty() && trials_.empty()};
  count_live(input, reading);
  for (const EndpointIndex i : ordinary_) {
    if (known_[i].prefills) prefill_.push_back(i);
    if (known_[i].decodes) decode_.push_back(i);
  }
  const Stage prefill = look_at(prefill_, input.now);
  const Stage decode = decode_.empty() ? look_at_trials(input.undecided) : look_at(decode_, input.now);
  reading.prefill = prefill.saturation;
  reading.decode = decode.saturation;
  if (prefill.saturation >= 0 || decode.saturation >= 0) {
    reading.saturation = std::max(prefill.saturation, decode.saturation);
    reading.per_request = std::max(prefill.per_request, decode.per_request);
  }
  return reading;
}

SaturationGate::Stage SaturationGate::look_at_trials(std::uint64_t undecided) const {
  std::uint64_t count = 0;
  std::uint64_t taken = undecided;
  for (const EndpointIndex i : trials_) {
    if (!known_[i].decodes) continue;
    ++count;
    if (live_[i].requests > 0) ++taken;
  }
  if (count == 0) return {};
  // One closes the gate until it is read again with that one counted.
  return {.saturation = static_cast<float>(taken) / static_cast<float>(count), .per_request = 1};
}

SaturationGate::Stage SaturationGate::look_at(std::span<const EndpointIndex> endpoints, TimePoint now) {
  if (endpoints.empty()) return {};
  const scheduling::PluginInput input{.request = nobody_,
                                      .endpoints = states_,
                                      .matched_blocks = {},
                                      .live = live_,
                                      .serves = {},
                                      .now = now,
                                      .metric_age_max = age_max_};
  const float saturation = objects_.detector->saturation(input, endpoints);
  const auto add = [&](std::int32_t requests) {
    for (const EndpointIndex i : endpoints) {
      *states_[i].waiting_requests.value += static_cast<std::uint32_t>(requests);
      live_[i].requests += static_cast<std::uint32_t>(requests);
    }
  };
  add(kProbe);
  const float fuller = objects_.detector->saturation(input, endpoints);
  add(-static_cast<std::int32_t>(kProbe));
  return {.saturation = saturation,
          .per_request = std::max(0.0F, fuller - saturation) / static_cast<float>(kProbe * endpoints.size())};
}

}  // namespace llmd::flow
