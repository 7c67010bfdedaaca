#include "scheduling/profile.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

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

float counted(float score, float instead) { return std::isnan(score) ? instead : std::clamp(score, 0.0F, 1.0F); }

// The age of the oldest reading of the metrics consumed, -1 if they are not readings or one was never made.
std::int64_t oldest_age_ms(const PluginInput& input, EndpointIndex endpoint, const Scorer& scorer) {
  const EndpointState& state = input.endpoints[endpoint];
  const MetricSet metrics = scorer.consumes();
  std::int64_t oldest = -1;
  const auto look = [&](Metric metric, const auto& reading) {
    if (!metrics.has(metric) || !reading.value) return;
    oldest = std::max<std::int64_t>(
        oldest, std::chrono::duration_cast<milliseconds>(std::max(Duration{}, input.now - reading.at)).count());
  };
  look(Metric::kWaiting, state.waiting_requests);
  look(Metric::kRunning, state.running_requests);
  look(Metric::kKvUsage, state.kv_usage);
  look(Metric::kLora, state.lora);
  const std::optional<Signal> signal = scorer.signal();
  if (signal && state.signals != nullptr) look(Metric::kSignal, (*state.signals)[*signal]);
  return oldest;
}

}  // namespace

void Profile::hand_over(const Slots& slots, const Belongings& belongings, PluginInput& input) {
  input.fixed = slots.fixed == kNone ? std::span<const FixedValue>{} : belongings.cache.fixed(slots.fixed);
  input.memory = slots.memory == kNone || belongings.memory.empty() ? nullptr : belongings.memory[slots.memory].get();
}

void Profile::run(const PluginInput& input, const Belongings& belongings, Rng& rng, const Limits& limits,
                  ProfileScratch& scratch, ProfileExplanation* explanation) const {
  if (explanation != nullptr) {
    explanation->profile = parts_.name;
    explanation->picker = parts_.picker.name;
  }
  PluginInput own = input;
  filter(own, belongings, rng, limits.explained_max, scratch, explanation);
  scratch.weights.clear();
  if (belongings.learned_for == this) {
    scratch.weights.assign(belongings.learned_weights.begin(), belongings.learned_weights.end());
    if (explanation != nullptr) explanation->arm = belongings.learned_arm;
  } else {
    for (const WeightedScorer& each : parts_.scorers) scratch.weights.push_back(each.weight);
  }
  score(own, belongings, rng, scratch);
  pick(rng, std::max(limits.picked_max, parts_.picker.picker->endpoints_max()), scratch);
  if (explanation != nullptr) explain(input, limits.explained_max, scratch, *explanation);
}

void Profile::filter(PluginInput& input, const Belongings& belongings, Rng& rng, std::uint32_t explained_max,
                     ProfileScratch& scratch, ProfileExplanation* explanation) const {
  scratch.candidates.resize(input.endpoints.size());
  std::iota(scratch.candidates.begin(), scratch.candidates.end(), EndpointIndex{0});
  std::vector<EndpointIndex> before;  // used for explanations only
  const auto apply = [&](std::string_view name, const Filter& filter) {
    if (explanation != nullptr) before = scratch.candidates;
    scratch.candidates.resize(filter.filter(input, scratch.candidates));
    if (explanation == nullptr) return;
    explanation->filtered_total += static_cast<std::uint32_t>(before.size() - scratch.candidates.size());
    auto kept = scratch.candidates.begin();
    for (const EndpointIndex i : before) {
      if (kept != scratch.candidates.end() && *kept == i) {
        ++kept;
      } else if (explanation->filtered.size() < explained_max) {
        explanation->filtered.push_back(
            {input.endpoints[i].endpoint->name, std::string{name}, filter.reason(input, i)});
      }
    }
  };
  apply(ModelFilter::kName, model_filter_);
  scratch.model_served = !scratch.candidates.empty();
  apply(HealthFilter::kName, health_filter_);
  for (const NamedFilter& each : parts_.filters) {
    if (scratch.candidates.empty()) return;
    hand_over(each.slots, belongings, input);
    input.chance = rng.uniform();
    apply(each.name, *each.filter);
  }
  apply(OutlierFilter::kName, outlier_filter_);
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
    parts_.scorers[s].scorer->score(input, scratch.candidates, row);
    // Mostly all have data: then the sum is a loop without branches, which compilers turn into vector instructions.
    bool any_missing = false;
    for (const float score : row) any_missing |= std::isnan(score);
    const float weight = scratch.weights[s];
    if (any_missing) {
      scratch.stand_ins[s] = stand_in(row);
      for (std::size_t c = 0; c < count; ++c) scratch.totals[c] += counted(row[c], scratch.stand_ins[s]) * weight;
      continue;
    }
    float* const totals = scratch.totals.data();
    for (std::size_t c = 0; c < count; ++c) totals[c] += std::min(std::max(row[c], 0.0F), 1.0F) * weight;
  }
}

void Profile::pick(Rng& rng, std::uint32_t picked_max, ProfileScratch& scratch) const {
  const std::size_t count = scratch.candidates.size();
  scratch.keys.resize(count);
  parts_.picker.picker->rank(scratch.totals, rng, scratch.keys);
  for (std::size_t c = 0; c < count; ++c) scratch.keys[c].position = static_cast<std::uint32_t>(c);
  const std::size_t wanted = std::min<std::size_t>(count, picked_max);
  std::partial_sort(
      scratch.keys.begin(), scratch.keys.begin() + static_cast<std::ptrdiff_t>(wanted), scratch.keys.end(),
      [](const PickKey& a, const PickKey& b) { return a.rank != b.rank ? a.rank > b.rank : a.tie > b.tie; });
  scratch.picked.clear();
  for (std::size_t k = 0; k < wanted; ++k) scratch.picked.push_back(scratch.candidates[scratch.keys[k].position]);
}

void Profile::explain(const PluginInput& input, std::uint32_t explained_max, const ProfileScratch& scratch,
                      ProfileExplanation& explanation) const {
  explanation.candidates_total = static_cast<std::uint32_t>(scratch.candidates.size());
  if (scratch.picked.empty()) return;
  explanation.chosen = input.endpoints[scratch.picked.front()].endpoint->name;
  std::vector<std::uint32_t> order(scratch.candidates.size());
  std::iota(order.begin(), order.end(), 0U);
  const std::uint32_t chosen = scratch.keys.front().position;
  // The chosen one comes first among equals, so that it is listed whatever the bound.
  const auto better = [&](std::uint32_t a, std::uint32_t b) {
    if (scratch.totals[a] != scratch.totals[b]) return scratch.totals[a] > scratch.totals[b];
    return (a == chosen) != (b == chosen) ? a == chosen : a < b;
  };
  const std::size_t listed = std::min<std::size_t>(order.size(), explained_max);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(listed), order.end(), better);
  order.resize(listed);
  // A random picker may choose one that is not among the best.
  if (listed > 0 && std::find(order.begin(), order.end(), chosen) == order.end()) order.back() = chosen;
  for (const std::uint32_t position : order)
    explanation.candidates.push_back(explain_candidate(input, position, scratch));
}

CandidateScore Profile::explain_candidate(const PluginInput& input, std::size_t position,
                                          const ProfileScratch& scratch) const {
  const EndpointIndex endpoint = scratch.candidates[position];
  CandidateScore candidate{.endpoint = input.endpoints[endpoint].endpoint->name, .total = scratch.totals[position]};
  for (std::size_t s = 0; s < parts_.scorers.size(); ++s) {
    const float raw = scratch.scores[s * scratch.candidates.size() + position];
    candidate.parts.push_back({.scorer = parts_.scorers[s].name,
                               .score = counted(raw, scratch.stand_ins[s]),
                               .weight = scratch.weights[s],
                               .metric_missing = std::isnan(raw),
                               .metric_age_ms = oldest_age_ms(input, endpoint, *parts_.scorers[s].scorer)});
  }
  return candidate;
}

}  // namespace llmd::scheduling
