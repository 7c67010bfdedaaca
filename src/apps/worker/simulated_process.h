#pragma once

#include "apps/worker/options.h"

namespace llmd::worker {

/// `llmd worker --engine sim`: serves simulated endpoints, each with its own port, state, metrics page and models, on
/// one loop until a signal. Returns the exit code.
[[nodiscard]] int run_simulated(Options options);

}  // namespace llmd::worker
