#pragma once

#include <cstddef>
#include <string_view>

#include "base/clock.h"
#include "routing/fairness_id.h"
#include "routing/flow_strand.h"
#include "routing/router.h"

namespace llmd::routing {

/// What flow control is told of a request that came at `received` with a body of `bytes`. `client_model` is what the
/// client calls the model.
[[nodiscard]] FlowRequest make_flow_request(const RouteRequest& request, std::string_view client_model,
                                            const Work& work, std::size_t bytes, TimePoint received,
                                            const FlowStrand& flow);

}  // namespace llmd::routing
