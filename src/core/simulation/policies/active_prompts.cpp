#include "simulation/policies/active_prompts.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace llmd::simulation {

void ActivePrompts::add(std::uint32_t endpoint, std::uint64_t request, std::span<const std::uint64_t> blocks) {
  if (endpoint >= places_.size()) places_.resize(std::size_t{endpoint} + 1);
  Place& place = places_[endpoint];
  for (const std::uint64_t block : blocks) {
    if (++place.uses[block] == 1) holders_.add(block, endpoint);
  }
  place.requests.insert_or_assign(request, std::vector<std::uint64_t>{blocks.begin(), blocks.end()});
}

void ActivePrompts::remove(std::uint32_t endpoint, std::uint64_t request) {
  if (endpoint >= places_.size()) return;
  Place& place = places_[endpoint];
  const auto ended = place.requests.find(request);
  if (ended == place.requests.end()) return;
  for (const std::uint64_t block : ended->second) {
    const auto use = place.uses.find(block);
    if (--use->second != 0) continue;
    place.uses.erase(use);
    holders_.remove(block, endpoint);
  }
  place.requests.erase(ended);
}

void ActivePrompts::remove_endpoint(std::uint32_t endpoint) {
  if (endpoint >= places_.size()) return;
  for (const auto& [block, uses] : places_[endpoint].uses) holders_.remove(block, endpoint);
  places_[endpoint] = {};
}

std::size_t ActivePrompts::blocks(std::uint32_t endpoint) const noexcept {
  return endpoint < places_.size() ? places_[endpoint].uses.size() : 0;
}

}  // namespace llmd::simulation
