#pragma once

#include <vector>

#include "api/openai/model_list.h"
#include "apps/gateway/pools.h"
#include "base/clock.h"

namespace llmd::gateway {

/// What GET /v1/models lists, each name once: what "default" means comes first. A route of one model is that name, with
/// its version as name@version; a route of many is what the endpoints of its pools say that they serve, as far as it
/// matches. The context is the shortest of those that may serve it.
[[nodiscard]] std::vector<openai::ModelCard> model_cards(const RouteView& view, TimePoint now);

}  // namespace llmd::gateway
