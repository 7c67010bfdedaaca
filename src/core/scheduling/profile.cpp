#include "scheduling/profile.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "scheduling/explain_profile.h"

namespace llmd::scheduling {
namespace {

// What a candidate without data counts as: the mean of the others, so that it neither wins nor loses by it.
float stand_in(std::span<const float> scores) {
  constexpr float kNobodyHasData = 0.5F;
  float sum = 0;
  std::size_t known = 0;
  for (const float score : scores) {
    if (std::isnan(score)) continue;
    sum += std::clamp(score, 0.0F, 1.0F);
    ++known;
  }
  return known == 0 ? kNobodyHasData : sum / static_cast<float>(known);
}

// These loops are written so that compilers turn them into vector instructions: no branches, no calls. Only NaN is not
// equal to itself.

bool all_known(std::span<const float> scores) noexcept {
  std::uint32_t missing = 0;
  for (const float score : scores) missing += score != score ? 1U : 0U;
  return missing == 0;
}

struct Counting {
  float weight;
  float stand_in;  // for kNoData
};

void add_weighted(std::span<const float> scores, Counting as, std::span<float> totals) noexcept {
  const float* const from = scores.data();
  float* const to = totals.data();
  for (std::size_t c = 0; c < scores.size(); ++c) {
    float score = from[c];
    score = score != score ? as.stand_in : score;
    score = score < 0.0F ? 0.0F : score;
    score = score > 1.0F ? 1.0F : score;
    to[c] += score * as.weight;
  }
}

}  // namespace

std::string_view Profile::built_in_name(BuiltIn filter) noexcept {
  switch (filter) {
    case kModelFilter: return ModelFilter::kName;
    case kSubsetFilter: return SubsetFilter::kName;
    case kHealthFilter: return HealthFilter::kName;
    case kOutlierFilter: return OutlierFilter::kName;
    case kBuiltIns: break;
  }
  return {};
}

void Profile::hand_over(const Slots& slots, const Belongings& belongings, PluginInput& input) {
  input.fixed = slots.fixed == kNone ? std::span<const FixedValue>{} : belongings.cache.fixed(slots.fixed);
  input.memory = slots.memory == kNone || belongings.memory.empty() ? nullptr : belongings.memory[slots.memory].get();
}

void Profile::run(const PluginInput& input, const Belongings& belongings, Rng& rng, std::uint32_t picked_max,
                  ProfileScratch& scratch, const Telling* telling) const {
  if (telling != nullptr) {
    telling->into.names = owned_parts_;
    telling->into.profile = parts_.name;
    telling->into.picker = parts_.picker.name;
  }
  PluginInput own = input;
  filter(own, belongings, rng, scratch, telling);
  scratch.weights.clear();
  if (belongings.learned_for == this) {
    scratch.weights.assign(belongings.learned_weights.begin(), belongings.learned_weights.end());
    if (telling != nullptr) telling->into.arm = belongings.learned_arm;
  } else {
    for (const WeightedScorer& each : parts_.scorers) scratch.weights.push_back(each.weight);
  }
  score(own, belongings, rng, scratch);
  pick(belongings, rng, std::max(picked_max, parts_.picker.picker->endpoints_max()), scratch);
}

void Profile::tell_choice(const PluginInput& input, ProfileScratch& scratch, const Telling& telling) const {
  explain_choice(input, parts_, scratch, telling);
}

void Profile::filter(PluginInput& input, const Belongings& belongings, Rng& rng, ProfileScratch& scratch,
                     const Telling* telling) const {
  scratch.candidates.resize(input.endpoints.size());
  std::iota(scratch.candidates.begin(), scratch.candidates.end(), EndpointIndex{0});
  const auto apply = [&](std::string_view name, const Filter& filter, std::size_t place) {
    const std::size_t before = scratch.candidates.size();
    if (telling != nullptr && !telling->brief) scratch.before = scratch.candidates;
    std::size_t kept = 0;
    {
      const TimedCall call{belongings.timing, place};
      kept = filter.filter(input, scratch.candidates);
    }
    scratch.candidates.resize(kept);
    if (telling == nullptr || scratch.candidates.size() == before) return;
    telling->into.filtered_total += static_cast<std::uint32_t>(before - scratch.candidates.size());
    if (!telling->brief) explain_filter(input, {name, filter}, scratch, *telling);
  };
  apply(ModelFilter::kName, model_filter_, kModelFilter);
  scratch.model_served = !scratch.candidates.empty();
  apply(SubsetFilter::kName, subset_filter_, kSubsetFilter);
  apply(HealthFilter::kName, health_filter_, kHealthFilter);
  for (const NamedFilter& each : parts_.filters) {
    if (scratch.candidates.empty()) return;
    hand_over(each.slots, belongings, input);
    input.chance = rng.uniform();
    apply(each.name, *each.filter, each.slots.timed);
  }
  apply(OutlierFilter::kName, outlier_filter_, kOutlierFilter);
}

bool Profile::keeps_any(PluginInput input, const Belongings& belongings,
                        std::span<EndpointIndex> candidates) const noexcept {
  for (const NamedFilter& each : parts_.filters) {
    hand_over(each.slots, belongings, input);
    candidates = candidates.first(each.filter->filter(input, candidates));
  }
  return !candidates.empty();
}

void Profile::score(PluginInput& input, const Belongings& belongings, Rng& rng, ProfileScratch& scratch) const {
  const std::size_t count = scratch.candidates.size();
  scratch.scores.resize(count * parts_.scorers.size());
  scratch.stand_ins.resize(parts_.scorers.size());
  scratch.totals.assign(count, 0.0F);
  if (count == 0) return;
  for (std::size_t s = 0; s < parts_.scorers.size(); ++s) {
    const std::span<float> row = std::span{scratch.scores}.subspan(s * count, count);
    hand_over(parts_.scorers[s].slots, belongings, input);
    input.chance = rng.uniform();
    {
      const TimedCall call{belongings.timing, parts_.scorers[s].slots.timed};
      parts_.scorers[s].scorer->score(input, scratch.candidates, row);
    }
    scratch.stand_ins[s] = all_known(row) ? 0.0F : stand_in(row);
    add_weighted(row, {scratch.weights[s], scratch.stand_ins[s]}, scratch.totals);
  }
}

void Profile::pick(const Belongings& belongings, Rng& rng, std::uint32_t picked_max, ProfileScratch& scratch) const {
  const TimedCall call{belongings.timing, parts_.picker.timed};
  const std::size_t count = scratch.candidates.size();
  scratch.keys.resize(count);
  parts_.picker.picker->rank(scratch.totals, rng, scratch.keys);
  for (std::size_t c = 0; c < count; ++c) scratch.keys[c].position = static_cast<std::uint32_t>(c);
  const std::size_t wanted = std::min<std::size_t>(count, picked_max);
  const std::size_t sorted = std::min<std::size_t>(count, std::max(picked_max, 2U));  // with the runner-up
  std::partial_sort(
      scratch.keys.begin(), scratch.keys.begin() + static_cast<std::ptrdiff_t>(sorted), scratch.keys.end(),
      [](const PickKey& a, const PickKey& b) { return a.rank != b.rank ? a.rank > b.rank : a.tie > b.tie; });
  scratch.picked.clear();
  for (std::size_t k = 0; k < wanted; ++k) scratch.picked.push_back(scratch.candidates[scratch.keys[k].position]);
}

}  // namespace llmd::scheduling
