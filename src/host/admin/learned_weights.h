#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "routing/router.h"

namespace llmd::admin {

/// What the gateway's weight learner knows, as JSON for the control socket. Error kNotFound: it has none.
[[nodiscard]] Result<std::string> learned_weights_json(const routing::Router& router);

/// "freeze", "unfreeze" or "reset". Error kNotFound: there is no learner, or another word.
[[nodiscard]] Result<void> steer_learned_weights(const routing::Router& router, std::string_view action);

}  // namespace llmd::admin
