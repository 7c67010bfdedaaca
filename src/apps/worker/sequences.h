#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "api/openai/generation_request.h"
#include "engine/engine.h"

namespace llmd::worker {

/// The engine's request for one choice. `choice` moves a given seed, so that the choices of one request differ and each
/// of them can be had again.
[[nodiscard]] SequenceRequest make_sequence(const openai::GenerationRequest& request, const std::string& request_id,
                                            std::vector<TokenId> prompt, std::size_t choice);

}  // namespace llmd::worker
