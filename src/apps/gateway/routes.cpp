#include "apps/gateway/routes.h"

#include <array>

namespace llmd::gateway {
namespace {

constexpr std::array<Route, 14> kRoutes{{
    {"/v1/chat/completions", RouteKind::kInference, "POST", false, "chat_completions"},
    {"/v1/completions", RouteKind::kInference, "POST", false, "completions"},
    {"/v1/messages", RouteKind::kInference, "POST", false, "messages"},
    {"/v1/messages/count_tokens", RouteKind::kForward, "POST", false, "count_tokens"},
    {"/v1/responses", RouteKind::kInference, "POST", false, "responses"},
    {"/v1/embeddings", RouteKind::kInference, "POST", false, "embeddings"},
    {"/tokenize", RouteKind::kForward, "POST", false, "tokenize"},
    {"/detokenize", RouteKind::kForward, "POST", false, "detokenize"},
    {"/v1/models", RouteKind::kModels, "GET, HEAD", false, "models"},
    {"/v1/models/*", RouteKind::kModel, "GET, HEAD", false, "models"},
    {"/openapi.json", RouteKind::kOpenApi, "GET, HEAD", false, "openapi"},
    {"/health", RouteKind::kHealth, "GET, HEAD", true, "health"},
    {"/ready", RouteKind::kReady, "GET, HEAD", true, "ready"},
    {"/metrics", RouteKind::kMetrics, "GET, HEAD", true, "metrics"},
}};

bool lists(std::string_view methods, std::string_view method) noexcept {
  while (!methods.empty()) {
    const std::size_t end = methods.find(", ");
    if (methods.substr(0, end) == method) return true;
    methods.remove_prefix(end == std::string_view::npos ? methods.size() : end + 2);
  }
  return false;
}

}  // namespace

RouteMatch find_route(std::string_view method, std::string_view path) noexcept {
  for (const Route& route : kRoutes) {
    if (route.path.ends_with("/*")) {
      const std::string_view prefix = route.path.substr(0, route.path.size() - 1);
      if (!path.starts_with(prefix) || path.size() == prefix.size()) continue;
      return {.route = &route, .method_allowed = lists(route.methods, method), .tail = path.substr(prefix.size())};
    }
    if (route.path == path) return {.route = &route, .method_allowed = lists(route.methods, method)};
  }
  return {};
}

}  // namespace llmd::gateway
