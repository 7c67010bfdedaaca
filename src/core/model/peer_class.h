#pragma once

#include <string>

#include "model/endpoint.h"

namespace llmd {

/// Which endpoints are peers, of which the same can be expected: those with equal first model, role, and hardware
/// labels (llm-d's variant, its autoscaler's accelerator). A key, not for people.
[[nodiscard]] std::string peer_class(const Endpoint& endpoint);

}  // namespace llmd
