#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "apps/sim/prober.h"
#include "simulation/profile_fit.h"

namespace llmd::sim {

/// How long a prompt took until its first token, as a sample; `chunk` (above 0) prompt tokens go into a step. Pre: the
/// answer has a token.
[[nodiscard]] simulation::CostSample prompt_sample(simulation::CostSample::Kind kind, const ProbeAnswer& answer,
                                                   std::uint32_t chunk);

/// How long a step took while all of these decoded, as a sample. Nothing if they hardly did.
[[nodiscard]] std::optional<simulation::CostSample> decode_sample(const std::vector<ProbeAnswer>& answers);

/// How many prompt tokens go into a step, by how many steps a prompt of `tokens` took; 0: that tells nothing.
[[nodiscard]] std::uint32_t chunk_of(std::uint32_t tokens, double steps) noexcept;

}  // namespace llmd::sim
