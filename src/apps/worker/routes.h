#pragma once

#include <cstdint>
#include <string_view>

#include "apps/worker/service.h"

namespace llmd::worker {

/// One path of the API. A handler answers its call in every case.
struct Route {
  std::string_view method;
  std::string_view path;  // ends in "/*" if anything may follow
  Task<void> (*handle)(Service& service, Call& call);
  bool open = false;           // needs no key
  bool needs_model = false;    // 503 until it is loaded, and while draining
  bool inference = false;      // counted as a request in flight
  bool of_simulation = false;  // there with a simulated engine only
};

struct RouteMatch {
  const Route* route = nullptr;  // null: see `allowed`
  std::string_view allowed;      // methods of a path that exists, for 405; empty: 404
  std::string_view tail;         // what stood for '*'
};
[[nodiscard]] RouteMatch find_route(std::string_view method, std::string_view path) noexcept;

[[nodiscard]] Task<void> handle_chat_completions(Service& service, Call& call);
[[nodiscard]] Task<void> handle_completions(Service& service, Call& call);
[[nodiscard]] Task<void> handle_embeddings(Service& service, Call& call);
[[nodiscard]] Task<void> handle_count_tokens(Service& service, Call& call);
[[nodiscard]] Task<void> handle_tokenize(Service& service, Call& call);
[[nodiscard]] Task<void> handle_detokenize(Service& service, Call& call);
[[nodiscard]] Task<void> handle_sim_speed(Service& service, Call& call);
[[nodiscard]] Task<void> handle_reset_prefix_cache(Service& service, Call& call);
[[nodiscard]] Task<void> handle_models(Service& service, Call& call);
[[nodiscard]] Task<void> handle_model(Service& service, Call& call);
[[nodiscard]] Task<void> handle_health(Service& service, Call& call);
[[nodiscard]] Task<void> handle_ready(Service& service, Call& call);
[[nodiscard]] Task<void> handle_metrics(Service& service, Call& call);

}  // namespace llmd::worker
