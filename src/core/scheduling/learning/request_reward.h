#pragma once

#include <optional>

#include "model/decision.h"

namespace llmd::scheduling {

/// What one request's outcome is worth, in [0, 1]: mostly whether it met both objectives, the rest grows as its
/// latencies fall, so that arms which all meet or all miss them can still be told apart. 0 if the endpoint failed.
/// Nothing: the outcome says nothing of where it went (the client left or erred, was slow, or others were tried
/// before).
[[nodiscard]] std::optional<float> request_reward(const WeightTrial& trial, const Outcome& outcome) noexcept;

}  // namespace llmd::scheduling
