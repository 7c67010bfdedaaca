#include "simulation/policies/sglang_cache_aware_policy.h"

#include <algorithm>
#include <tuple>

#include "simulation/policies/candidates.h"

namespace llmd::simulation {

SglangCacheAwarePolicy::Survey SglangCacheAwarePolicy::survey(const PolicyInput& input) {
  const auto& endpoints = input.snapshot.endpoints;
  if (chosen_.size() < endpoints.size()) chosen_.resize(endpoints.size());
  Survey seen;
  std::uint64_t shortest_chosen = 0;
  for (std::uint32_t place = 0; place < endpoints.size(); ++place) {
    if (!takes_requests(endpoints[place])) continue;
    const std::uint32_t load = inflight_requests(input, place);
    seen.load_max = std::max(seen.load_max, load);
    if (seen.first == kNoEndpoint) seen.first = place;
    // The lowest place wins a tie because it comes first.
    if (seen.shortest != kNoEndpoint && std::tie(load, chosen_[place]) >= std::tie(seen.load_min, shortest_chosen))
      continue;
    seen.shortest = place;
    seen.load_min = load;
    shortest_chosen = chosen_[place];
  }
  return seen;
}

bool SglangCacheAwarePolicy::unbalanced(const Survey& seen) const noexcept {
  return seen.load_max - seen.load_min > options_.balance_abs_threshold &&
         static_cast<float>(seen.load_max) > static_cast<float>(seen.load_min) * options_.balance_rel_threshold;
}

std::uint32_t SglangCacheAwarePolicy::by_prefix(const PolicyInput& input, const Survey& seen) {
  const RequestFacts& request = input.request;
  const auto matched = tree_.match(request.prefix.hashes);
  const auto matched_tokens = static_cast<float>(std::uint64_t{matched.blocks} * request.prefix.block_tokens);
  const float rate = request.prompt_tokens == 0 ? 0.0F : matched_tokens / static_cast<float>(request.prompt_tokens);
  if (!(rate > options_.cache_threshold)) return seen.shortest;
  const auto& endpoints = input.snapshot.endpoints;
  const bool serves = matched.worker < endpoints.size() && takes_requests(endpoints[matched.worker]);
  return serves ? matched.worker : kNoEndpoint;
}

void SglangCacheAwarePolicy::evict_if_due(const PolicyInput& input) {
  if (!evicted_at_) evicted_at_ = input.now;
  if (input.now - *evicted_at_ < options_.eviction_interval) return;
  evicted_at_ = input.now;
  tree_.evict(options_.max_tree_size / std::max<std::uint64_t>(1, input.request.prefix.block_tokens));
}

PolicyChoice SglangCacheAwarePolicy::choose(const PolicyInput& input) {
  evict_if_due(input);
  const Survey seen = survey(input);
  if (seen.first == kNoEndpoint) return {};
  const std::uint32_t place = unbalanced(seen) ? seen.shortest : by_prefix(input, seen);
  if (place == kNoEndpoint) return {.decode = seen.first};
  tree_.insert(input.request.prefix.hashes, place);
  ++chosen_[place];
  return {.decode = place};
}

}  // namespace llmd::simulation
