#include "simulation/role_changes.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>

namespace llmd::simulation {
namespace {

constexpr Duration kInterval = std::chrono::seconds{1};

}  // namespace

std::optional<std::uint32_t> RoleChanges::look(EndpointSnapshot& snapshot,
                                               const std::function<std::uint32_t(std::size_t)>& in_flight,
                                               TimePoint now) {
  if (now < next_) return std::nullopt;
  next_ = now + kInterval;
  views_.clear();
  for (std::size_t i = 0; i < snapshot.endpoints.size(); ++i)
    views_.push_back(pd::role_view(snapshot.endpoints[i], in_flight(i)));
  const auto change = balancer_.tick(views_, now);
  if (!change) return std::nullopt;
  const auto found = std::ranges::find(snapshot.endpoints, change->endpoint,
                                       [](const EndpointState& state) { return state.endpoint->name; });
  auto changed = std::make_shared<Endpoint>(*found->endpoint);
  changed->labels[std::string{kRoleLabel}] = change->role ? role_name(*change->role) : pd::kNoRole;
  found->endpoint = std::move(changed);
  ++snapshot.version;
  return static_cast<std::uint32_t>(found - snapshot.endpoints.begin());
}

}  // namespace llmd::simulation
