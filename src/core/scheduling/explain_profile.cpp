#include "scheduling/explain_profile.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <span>

#include "base/rng.h"

namespace llmd::scheduling {
namespace {

/// What a scorer reads.
struct Reads {
  MetricSet metrics;
  std::optional<Signal> signal;
};

/// The age of the oldest of these readings, -1 if they are none or none was ever made.
std::int32_t oldest_age_ms(const PluginInput& input, EndpointIndex endpoint, const Reads& reads) {
  constexpr std::int64_t kAgeMax = std::numeric_limits<std::int32_t>::max();
  const EndpointState& state = input.endpoints[endpoint];
  std::int64_t oldest = -1;
  const auto look = [&](const auto& reading) {
    if (!reading.value) return;
    const Duration age = std::max(Duration{}, input.now - reading.at);
    oldest = std::max<std::int64_t>(oldest, std::chrono::duration_cast<milliseconds>(age).count());
  };
  if (reads.metrics.has(Metric::kWaiting)) look(state.waiting_requests);
  if (reads.metrics.has(Metric::kRunning)) look(state.running_requests);
  if (reads.metrics.has(Metric::kKvUsage)) look(state.kv_usage);
  if (reads.metrics.has(Metric::kLora)) look(state.lora);
  if (reads.signal && state.signals != nullptr) look((*state.signals)[*reads.signal]);
  return static_cast<std::int32_t>(std::min(oldest, kAgeMax));
}

/// The positions to list into scratch.order: all up to the bound, best first. The chosen one and the runner-up are
/// among them whatever the bound, as a picker that draws may take one that is not among the best.
void order_all(ProfileScratch& scratch, std::uint32_t listed_max) {
  const std::span<const float> totals = scratch.totals;
  const std::uint32_t chosen = scratch.keys.front().position;
  const auto better = [&](std::uint32_t a, std::uint32_t b) {
    if (totals[a] != totals[b]) return totals[a] > totals[b];
    return (a == chosen) != (b == chosen) ? a == chosen : a < b;
  };
  std::vector<std::uint32_t>& order = scratch.order;
  order.resize(scratch.candidates.size());
  std::iota(order.begin(), order.end(), 0U);
  const std::size_t listed = std::min<std::size_t>(order.size(), listed_max);
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(listed);
  std::nth_element(order.begin(), end, order.end(), better);  // half of what a partial sort of 64 in 1,000 takes
  std::sort(order.begin(), end, better);
  order.resize(listed);
  const auto list = [&](std::uint32_t position) {
    if (std::find(order.begin(), order.end(), position) != order.end()) return;
    order[order.back() == chosen && listed > 1 ? listed - 2 : listed - 1] = position;
    std::sort(order.begin(), order.end(), better);
  };
  list(chosen);
  if (scratch.keys.size() > 1 && listed > 1) list(scratch.keys[1].position);
}

/// The same with the chosen one and the runner-up alone.
void order_two(ProfileScratch& scratch) {
  scratch.order.clear();
  for (const PickKey& key : std::span{scratch.keys}.first(std::min<std::size_t>(scratch.keys.size(), 2)))
    scratch.order.push_back(key.position);
}

void list_candidates(const PluginInput& input, const Profile::Parts& parts, const ProfileScratch& scratch,
                     const Profile::Telling& telling) {
  const std::vector<std::uint32_t>& order = scratch.order;
  ProfileExplanation& into = telling.into;
  into.candidates.reserve(order.size());
  for (const std::uint32_t position : order) {
    const EndpointIndex endpoint = scratch.candidates[position];
    into.candidates.push_back({.endpoint = input.endpoints[endpoint].endpoint,
                               .total = scratch.totals[position],
                               .predicted = told_prediction(telling.predictions, endpoint)});
    const std::string_view name = into.candidates.back().endpoint->name;
    if (position == scratch.keys.front().position) into.chosen = name;
    if (scratch.keys.size() > 1 && position == scratch.keys[1].position) into.runner_up = name;
  }
  const std::size_t scorers = parts.scorers.size();
  into.scorers.reserve(scorers);
  into.parts.resize(order.size() * scorers);
  for (std::size_t s = 0; s < scorers; ++s) {
    const Profile::WeightedScorer& scorer = parts.scorers[s];
    into.scorers.push_back({scorer.name, scratch.weights[s]});
    const Reads reads{.metrics = scorer.scorer->consumes(), .signal = scorer.scorer->signal()};
    for (std::size_t c = 0; c < order.size(); ++c) {
      const float raw = scratch.scores[s * scratch.candidates.size() + order[c]];
      into.parts[c * scorers + s] = {.score = counted_score(raw, scratch.stand_ins[s]),
                                     .metric_missing = std::isnan(raw),
                                     .metric_age_ms = oldest_age_ms(input, scratch.candidates[order[c]], reads)};
    }
  }
}

void add_other_choices(const PluginInput& input, const ProfileScratch& scratch, const Profile::Telling& telling) {
  const std::vector<EndpointIndex>& candidates = scratch.candidates;
  const auto add = [&](std::string_view policy, EndpointIndex endpoint) {
    telling.into.others.push_back({.policy = policy,
                                   .endpoint = input.endpoints[endpoint].endpoint,
                                   .predicted = told_prediction(telling.predictions, endpoint)});
  };
  Rng rng{telling.chance};
  telling.into.others.reserve(3);
  add("random", candidates[rng.below(candidates.size())]);
  add("round-robin", candidates[telling.turn % candidates.size()]);
  // Of equally loaded ones not always the first, which an idle pool would make the one that is always taken.
  const std::size_t first = rng.below(candidates.size());
  EndpointIndex least = candidates[first];
  const auto look = [&](std::span<const EndpointIndex> some) {
    for (const EndpointIndex endpoint : some) {
      if (input.inflight_requests(endpoint) < input.inflight_requests(least)) least = endpoint;
    }
  };
  look(std::span{candidates}.subspan(first));
  look(std::span{candidates}.first(first));
  add("least-loaded", least);
}

}  // namespace

std::optional<PredictedLatency> told_prediction(std::span<const LatencyPrediction> predictions,
                                                EndpointIndex endpoint) noexcept {
  if (endpoint >= predictions.size() || !predictions[endpoint].known) return std::nullopt;
  const LatencyPrediction& made = predictions[endpoint];
  return PredictedLatency{.ttft_ms = made.ttft_ms,
                          .ttft_deviation_ms = made.ttft_deviation_ms,
                          .tpot_ms = made.tpot_ms,
                          .tpot_deviation_ms = made.tpot_deviation_ms};
}

float counted_score(float score, float instead) noexcept {
  return std::isnan(score) ? instead : std::clamp(score, 0.0F, 1.0F);
}

void explain_filter(const PluginInput& input, const FilterByName& by, const ProfileScratch& scratch,
                    const Profile::Telling& telling) {
  ProfileExplanation& into = telling.into;
  auto kept = scratch.candidates.begin();
  for (const EndpointIndex i : scratch.before) {
    if (into.filtered.size() >= telling.listed_max) return;
    if (kept != scratch.candidates.end() && *kept == i) {
      ++kept;
    } else {
      into.filtered.push_back(
          {.endpoint = input.endpoints[i].endpoint, .filter = by.name, .reason = by.filter.reason(input, i)});
    }
  }
}

void explain_choice(const PluginInput& input, const Profile::Parts& parts, ProfileScratch& scratch,
                    const Profile::Telling& telling) {
  telling.into.candidates_total = static_cast<std::uint32_t>(scratch.candidates.size());
  if (scratch.picked.empty()) return;
  if (telling.brief) {
    order_two(scratch);
  } else {
    order_all(scratch, telling.listed_max);
    add_other_choices(input, scratch, telling);
  }
  list_candidates(input, parts, scratch, telling);
}

}  // namespace llmd::scheduling
