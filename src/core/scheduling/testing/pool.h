#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/endpoint.h"
#include "model/request_facts.h"
#include "scheduling/endpoint_cache.h"
#include "scheduling/plugin.h"

namespace llmd::scheduling::testing {

inline constexpr TimePoint kNow{std::chrono::hours{1}};

/// An endpoint for tests. Unset metrics were never reported; set ones are `metric_age` old.
struct EndpointSpec {
  std::string name{};
  std::vector<std::string> models{"m"};  // none: it has not told yet
  std::string role{};                    // empty: no label
  EndpointHealth health = EndpointHealth::kReady;
  std::optional<std::uint32_t> waiting{};
  std::optional<std::uint32_t> running{};
  std::optional<float> kv_usage{};
  std::uint32_t inflight = 0;
  Duration metric_age{};
  std::map<std::string, std::string> labels{};
  std::uint64_t inflight_tokens = 0;
};

inline EndpointState make_state(const EndpointSpec& spec) {
  auto endpoint = std::make_shared<Endpoint>(
      Endpoint{.name = spec.name, .url = fmt::format("http://{}", spec.name), .models = {}, .labels = {}});
  for (const std::string& model : spec.models) endpoint->models.push_back({.id = model});
  if (!spec.role.empty()) endpoint->labels.emplace(kRoleLabel, spec.role);
  endpoint->labels.insert(spec.labels.begin(), spec.labels.end());
  EndpointState state;
  state.endpoint = std::move(endpoint);
  state.health = spec.health;
  state.waiting_requests = {spec.waiting, kNow - spec.metric_age};
  state.running_requests = {spec.running, kNow - spec.metric_age};
  state.kv_usage = {spec.kv_usage, kNow - spec.metric_age};
  state.inflight_requests = spec.inflight;
  state.inflight_tokens = spec.inflight_tokens;
  return state;
}

inline EndpointSnapshot make_snapshot(const std::vector<EndpointSpec>& specs) {
  EndpointSnapshot snapshot{.version = 1, .taken_at = kNow, .endpoints = {}};
  for (const EndpointSpec& spec : specs) snapshot.endpoints.push_back(make_state(spec));
  return snapshot;
}

/// A PluginInput with what it refers to.
class PluginScene {
 public:
  explicit PluginScene(const std::vector<EndpointSpec>& specs, std::string_view model = "m")
      : snapshot{make_snapshot(specs)} {
    request.model = model;
    cache.update(snapshot.endpoints, {}, nullptr);
    serves = cache.serving(request.model);
    candidates.resize(specs.size());
    std::iota(candidates.begin(), candidates.end(), EndpointIndex{0});
  }
  [[nodiscard]] PluginInput input() const {
    return {.request = request,
            .endpoints = snapshot.endpoints,
            .matched_blocks = matched_blocks,
            .live = {},
            .serves = serves,
            .now = kNow,
            .metric_age_max = seconds{2},
            .predictions = predictions,
            .media_matched = media_matched,
            .peer = peer,
            .links = snapshot.links.get(),
            .decision_chance = decision_chance};
  }
  [[nodiscard]] std::vector<float> scores(const Scorer& scorer) const {
    std::vector<float> result(candidates.size());
    const Own own{*this, scorer};
    scorer.score(own.input, candidates, result);
    return result;
  }
  /// The names that a filter keeps.
  [[nodiscard]] std::vector<std::string> kept(const Filter& filter) const {
    std::vector<EndpointIndex> all = candidates;
    const Own own{*this, filter};
    all.resize(filter.filter(own.input, all));
    std::vector<std::string> names;
    for (const EndpointIndex i : all) names.push_back(snapshot.endpoints[i].endpoint->name);
    return names;
  }

  /// Why a filter drops the endpoint of this place.
  [[nodiscard]] std::string reason(const Filter& filter, EndpointIndex endpoint) const {
    return filter.reason(Own{*this, filter}.input, endpoint);
  }
  /// The readings of the endpoint's signals, to be set; `named` must stay sorted.
  EndpointSignals& signals(EndpointIndex endpoint) {
    EndpointState& state = snapshot.endpoints[endpoint];
    auto changed = state.signals == nullptr ? std::make_shared<EndpointSignals>()
                                            : std::make_shared<EndpointSignals>(*state.signals);
    EndpointSignals& result = *changed;
    state.signals = std::move(changed);
    return result;
  }
  void set_signal(EndpointIndex endpoint, Signal signal, float value, Duration age = {}) {
    signals(endpoint)[signal] = {value, kNow - age};
  }

  /// The input with what belongs to one plugin.
  struct Own {
    Own(const PluginScene& scene, const Plugin& plugin) : input{scene.input()} {
      if (plugin.has_fixed_value()) {
        for (const EndpointState& state : scene.snapshot.endpoints)
          fixed.push_back(plugin.fixed_value(*state.endpoint));
      }
      input.fixed = fixed;
      input.memory = scene.memory.get();
      input.chance = scene.chance;
    }
    std::vector<FixedValue> fixed;
    PluginInput input;
  };

  RequestFacts request;
  EndpointSnapshot snapshot;
  EndpointCache cache;
  std::span<const std::uint8_t> serves;
  std::vector<EndpointIndex> candidates;
  std::vector<std::uint32_t> matched_blocks;
  std::vector<LatencyPrediction> predictions;
  std::vector<float> media_matched;
  EndpointIndex peer = kNoEndpointIndex;
  std::unique_ptr<PluginMemory> memory;  // of the plugin under test
  double chance = 0.5;
  double decision_chance = 0;
};

}  // namespace llmd::scheduling::testing
