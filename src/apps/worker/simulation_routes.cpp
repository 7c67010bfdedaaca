#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "apps/worker/routes.h"

namespace llmd::worker {
namespace {

constexpr double kFactorMin = 0.01;
constexpr double kFactorMax = 1'000;

std::optional<double> factor_of(std::string_view body) {
  const auto json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.size() != 1 || !json.contains("factor") || !json["factor"].is_number()) return {};
  const auto factor = json["factor"].get<double>();
  if (factor >= kFactorMin && factor <= kFactorMax) return factor;
  return {};
}

Error bad_factor() {
  return {
      .code = ErrorCode::kInvalidRequest,
      .what = fmt::format("the body is not {{\"factor\": NUMBER}} with a number from {} to {}", kFactorMin, kFactorMax),
      .hint = "3 makes steps take three times as long",
      .param = "factor"};
}

}  // namespace

Task<void> handle_sim_speed(Service& service, Call& call) {
  const std::optional<double> factor = factor_of(call.request().body);
  if (!factor) {
    co_await call.respond_error(bad_factor());
    co_return;
  }
  service.model().simulated->set_slowness(*factor);
  co_await call.respond_json(200, fmt::format("{{\"factor\":{}}}", *factor));
}

/// vLLM's name for it. Of simulated engines only: from a real worker any client could take the cache away.
Task<void> handle_reset_prefix_cache(Service& service, Call& call) {
  service.model().simulated->clear_blocks();
  co_await call.respond_json(200, "{}");
}

}  // namespace llmd::worker
