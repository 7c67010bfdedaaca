#include "apps/worker/routes.h"

#include <array>

namespace llmd::worker {
namespace {

constexpr std::array kRoutes = {
    Route{"POST", "/v1/chat/completions", handle_chat_completions, false, true, true},
    Route{"POST", "/v1/completions", handle_completions, false, true, true},
    Route{"POST", "/v1/messages", handle_chat_completions, false, true, true},
    Route{"POST", "/v1/messages/count_tokens", handle_count_tokens, false, true, false},
    Route{"POST", "/v1/responses", handle_chat_completions, false, true, true},
    Route{"POST", "/v1/embeddings", handle_embeddings, false, true, true},
    Route{"POST", "/tokenize", handle_tokenize, false, true, false},
    Route{"POST", "/detokenize", handle_detokenize, false, true, false},
    Route{"POST", "/sim/speed", handle_sim_speed, false, true, false, true},
    Route{"POST", "/reset_prefix_cache", handle_reset_prefix_cache, false, true, false, true},
    Route{"GET", "/v1/models", handle_models, false, false, false},
    Route{"GET", "/v1/models/*", handle_model, false, false, false},
    Route{"GET", "/health", handle_health, true, false, false},
    Route{"GET", "/ready", handle_ready, true, false, false},
    Route{"GET", "/metrics", handle_metrics, true, false, false},
};

bool matches(std::string_view pattern, std::string_view path, std::string_view& tail) noexcept {
  if (!pattern.ends_with("/*")) return path == pattern;
  pattern.remove_suffix(1);
  if (!path.starts_with(pattern) || path.size() == pattern.size()) return false;
  tail = path.substr(pattern.size());
  return true;
}

}  // namespace

RouteMatch find_route(std::string_view method, std::string_view path) noexcept {
  RouteMatch match;
  for (const Route& route : kRoutes) {
    std::string_view tail;
    if (!matches(route.path, path, tail)) continue;
    match.allowed = route.method;
    if (method != route.method && !(method == "HEAD" && route.method == "GET")) continue;
    match.route = &route;
    match.tail = tail;
    return match;
  }
  return match;
}

}  // namespace llmd::worker
