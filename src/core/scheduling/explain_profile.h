#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "scheduling/plugin.h"
#include "scheduling/profile.h"

namespace llmd::scheduling {

/// What a raw score counts as: `instead` if there is none, else clamped to [0, 1].
[[nodiscard]] float counted_score(float score, float instead) noexcept;

/// The prediction of an endpoint as explanations have it; nothing if there is none.
[[nodiscard]] std::optional<PredictedLatency> told_prediction(std::span<const LatencyPrediction> predictions,
                                                              EndpointIndex endpoint) noexcept;

struct FilterByName {
  std::string_view name;
  const Filter& filter;
};

/// Lists whom the filter dropped and why: those of scratch.before that are no longer in scratch.candidates.
/// O(candidates).
void explain_filter(const PluginInput& input, const FilterByName& by, const ProfileScratch& scratch,
                    const Profile::Telling& telling);

/// Adds the candidates with their scores, the chosen one, the runner-up and whom other policies would have taken. Pre:
/// the scratch is as scoring and picking left it. O(candidates x log listed_max), if brief O(scorers).
void explain_choice(const PluginInput& input, const Profile::Parts& parts, ProfileScratch& scratch,
                    const Profile::Telling& telling);

}  // namespace llmd::scheduling
