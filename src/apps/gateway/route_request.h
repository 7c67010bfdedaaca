#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai/routing_fields.h"
#include "apps/gateway/pools.h"
#include "base/error.h"
#include "base/rng.h"
#include "modelroute/route_table.h"
#include "net/server.h"

namespace llmd::gateway {

/// Request headers; neither goes on to endpoints.
inline constexpr std::string_view kVersionHeader = "x-llmd-model-version";
inline constexpr std::string_view kSlaClassHeader = "x-llmd-sla-class";

/// A request with the route that it takes, which lives as long as `view`.
struct RoutedRequest {
  std::shared_ptr<const RouteView> view;
  const modelroute::Route* route = nullptr;
  std::string model{};  // as the client calls it, without a version; empty: the first that the pool serves
  std::string shown{};  // the name that answers have; empty: the endpoint's
  modelroute::Draw draw{};
  std::vector<std::uint8_t> tried{};  // of the targets

  [[nodiscard]] const modelroute::Target& target(std::size_t number) const { return route->targets[number]; }
  [[nodiscard]] ServingPool& pool(std::size_t number) const { return *view->pools[target(number).pool]; }
};

/// Finds the route, and does to the request what its SLA class says. Errors: kModelNotFound (no route; the hint lists
/// what there is), kInvalidRequest (no such class).
[[nodiscard]] Result<RoutedRequest> route_request(std::shared_ptr<const RouteView> view, net::Request& request,
                                                  openai::RoutingFields& fields, Rng& rng);

/// The target that is to take the request: by weight among those whose pools can serve now and that were not tried.
/// Where none can, the one by weight alone, whose pool can tell why; no value if that was tried.
[[nodiscard]] std::optional<std::size_t> next_target(const RoutedRequest& routed, TimePoint now);

}  // namespace llmd::gateway
