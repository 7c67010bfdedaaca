#include "simulation/policies/dynamo_cost_policy.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace llmd::simulation {

double DynamoCostPolicy::cost(const Terms& terms, const Options& options) noexcept {
  const auto prefill_tokens = static_cast<double>(terms.active_prefill_tokens + terms.prompt_tokens);
  const double prefill_blocks = prefill_tokens / std::max(1U, terms.block_tokens);
  const double cached = options.overlap_score_credit * terms.overlap_blocks;
  const double decode_blocks = static_cast<double>(terms.active_blocks + terms.new_blocks);
  return options.prefill_load_scale * std::max(0.0, prefill_blocks - cached) + decode_blocks;
}

void DynamoCostPolicy::price(const PolicyInput& input, std::span<const std::uint32_t> places) {
  const PrefixKey& prompt = input.request.prefix;
  overlaps_.resize(input.snapshot.endpoints.size());
  shared_.resize(input.snapshot.endpoints.size());
  index_.depths(prompt.hashes, overlaps_);
  active_.depths(prompt.hashes, shared_);
  costs_.clear();
  for (const std::uint32_t place : places) {
    const Terms terms{.active_prefill_tokens = inflight_tokens(input, place),
                      .prompt_tokens = input.request.prompt_tokens,
                      .block_tokens = prompt.block_tokens,
                      .overlap_blocks = overlaps_[place],
                      .active_blocks = active_.blocks(place),
                      .new_blocks = static_cast<std::uint32_t>(prompt.hashes.size()) - shared_[place]};
    costs_.push_back(cost(terms, options_));
  }
}

std::uint32_t DynamoCostPolicy::sample(std::span<const std::uint32_t> places, Rng& rng) {
  const auto [least, most] = std::ranges::minmax(costs_);
  if (least == most) return places[rng.below(places.size())];
  const double scale = options_.router_temperature * (most - least);
  double total = 0;
  for (double& each : costs_) {
    each = std::exp((least - each) / scale);
    total += each;
  }
  double rest = rng.uniform() * total;
  for (std::size_t i = 0; i < places.size(); ++i) {
    rest -= costs_[i];
    if (rest < 0) return places[i];
  }
  return places.back();  // what rounding left over
}

PolicyChoice DynamoCostPolicy::choose(const PolicyInput& input) {
  const auto places = candidates_.of(input.snapshot);
  if (places.empty()) return {};
  price(input, places);
  const auto chosen = [&](std::uint32_t place) {
    const std::uint32_t cached = overlaps_[place] * input.request.prefix.block_tokens;
    return PolicyChoice{.decode = place, .cached_tokens = cached};
  };
  if (options_.router_temperature > 0) return chosen(sample(places, input.rng));
  LeastWithRandomTies<double> least;
  for (std::size_t i = 0; i < places.size(); ++i) least.offer(places[i], costs_[i], input.rng);
  return chosen(least.place());
}

void DynamoCostPolicy::sent(const PolicyInput& input, const PolicyChoice& choice) {
  if (choice.decode == kNoEndpoint) return;
  active_.add(choice.decode, input.id, input.request.prefix.hashes);
}

void DynamoCostPolicy::finished(const PolicyOutcome& outcome, TimePoint /*now*/) {
  active_.remove(outcome.endpoint, outcome.id);
}

void DynamoCostPolicy::endpoint_lost(std::uint32_t endpoint) {
  index_.remove_endpoint(endpoint);
  active_.remove_endpoint(endpoint);
}

}  // namespace llmd::simulation
