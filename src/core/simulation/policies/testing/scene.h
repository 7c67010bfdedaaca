#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "simulation/policy.h"

namespace llmd::simulation::testing {

inline constexpr std::uint32_t kBlockTokens = 16;
inline constexpr std::string_view kModel = "m";

/// A fleet of idle, ready endpoints "e0".. that serve "m", one request for it, and what a policy sees of both.
class Scene {
 public:
  explicit Scene(std::uint32_t endpoints) : live(endpoints) {
    snapshot.version = 1;
    snapshot.taken_at = now;
    for (std::uint32_t place = 0; place < endpoints; ++place) snapshot.endpoints.push_back(make(place));
  }

  /// The prompt's whole blocks by name.
  Scene& prompt(std::vector<std::uint64_t> blocks) {
    request.prompt_tokens = static_cast<std::uint32_t>(blocks.size()) * kBlockTokens;
    request.prefix = {.hashes = std::move(blocks), .block_tokens = kBlockTokens};
    return *this;
  }
  Scene& loads(std::initializer_list<std::uint32_t> requests) {
    std::size_t place = 0;
    for (const std::uint32_t each : requests) live[place++].requests = each;
    return *this;
  }
  Scene& health(std::uint32_t place, EndpointHealth value) {
    snapshot.endpoints[place].health = value;
    return *this;
  }
  [[nodiscard]] PolicyInput input() {
    return {.id = id,
            .request = request,
            .snapshot = snapshot,
            .live = live,
            .session = session,
            .recorded_endpoint = recorded_endpoint,
            .now = now,
            .rng = rng};
  }
  [[nodiscard]] std::uint32_t choose(Policy& policy) { return policy.choose(input()).decode; }
  /// Chooses, and says that it was sent there.
  std::uint32_t send(Policy& policy) {
    const PolicyChoice choice = policy.choose(input());
    policy.sent(input(), choice);
    return choice.decode;
  }

  static EndpointState make(std::uint32_t place) {
    auto endpoint = std::make_shared<Endpoint>();
    endpoint->name = fmt::format("e{}", place);
    endpoint->url = fmt::format("http://e{}", place);
    endpoint->models.push_back({.id = std::string{kModel}});
    EndpointState state;
    state.endpoint = std::move(endpoint);
    state.health = EndpointHealth::kReady;
    return state;
  }

  RequestFacts request{.request_id = std::string{"r"}, .model = std::string{kModel}, .prefix = {}};
  EndpointSnapshot snapshot;
  std::vector<scheduling::LiveLoad> live;
  std::uint64_t id = 1;
  std::uint32_t session = 0;
  std::uint32_t recorded_endpoint = kNoEndpoint;
  TimePoint now{std::chrono::hours{1}};
  Rng rng{1};
};

}  // namespace llmd::simulation::testing
