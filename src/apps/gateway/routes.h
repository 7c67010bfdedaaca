#pragma once

#include <cstdint>
#include <string_view>

namespace llmd::gateway {

enum class RouteKind : std::uint8_t {
  kInference,  // decided and sent to an endpoint, counted as a request in flight
  kForward,    // decided and sent to an endpoint, not counted
  kModels,
  kModel,
  kOpenApi,
  kHealth,
  kReady,
  kMetrics,
};

/// One path of the API.
struct Route {
  std::string_view path;  // ends in "/*" if anything may follow
  RouteKind kind;
  std::string_view methods;  // as in an Allow header
  bool open = false;         // needs no key
  std::string_view label{};  // in metrics
};

struct RouteMatch {
  const Route* route = nullptr;  // null: no such path
  bool method_allowed = false;
  std::string_view tail{};  // what stood for '*'
};
[[nodiscard]] RouteMatch find_route(std::string_view method, std::string_view path) noexcept;

}  // namespace llmd::gateway
