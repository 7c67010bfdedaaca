#include "admin/plane_sources.h"

#include <utility>

#include "admin/learned_weights.h"

namespace llmd::admin {

AdminSources sources_of(routing::Plane& plane, std::function<std::string()> config_json,
                        std::function<std::string()> summary_json) {
  return {
      .record = [&plane](std::string_view id) { return plane.router().find(id); },
      .endpoints = [&plane] { return plane.pool().report(SteadyClock::now()); },
      .config_json = std::move(config_json),
      .summary_json = std::move(summary_json),
      .versions_json = [&plane] { return plane.live_config().versions_json(); },
      .version_json = [&plane](std::uint64_t number) { return plane.live_config().version_json(number); },
      .roll_back = [&plane](std::uint64_t number) { return plane.live_config().roll_back(number); },
      .weights_json = [&plane] { return learned_weights_json(plane.router()); },
      .steer_weights = [&plane](std::string_view action) { return steer_learned_weights(plane.router(), action); },
  };
}

}  // namespace llmd::admin
