#include "simulation/policies/block_holders.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace llmd::simulation {
namespace {

constexpr std::uint32_t kPlaceMax = std::numeric_limits<std::uint16_t>::max();

}  // namespace

bool BlockHolders::add(std::uint64_t block, std::uint32_t endpoint) {
  return endpoint <= kPlaceMax && table_.find_or_add(block).add(static_cast<std::uint16_t>(endpoint));
}

bool BlockHolders::remove(std::uint64_t block, std::uint32_t endpoint) {
  if (endpoint > kPlaceMax) return false;
  HolderSet* holders = table_.find(block);
  if (holders == nullptr || !holders->remove(static_cast<std::uint16_t>(endpoint))) return false;
  if (holders->empty()) table_.erase_emptied(block);
  return true;
}

void BlockHolders::remove_endpoint(std::uint32_t endpoint) {
  if (endpoint > kPlaceMax) return;
  std::vector<std::uint64_t> held;  // a removal moves entries, so it may not happen during the walk
  table_.for_each([&](std::uint64_t block, const HolderSet& holders) {
    if (holders.contains(static_cast<std::uint16_t>(endpoint))) held.push_back(block);
  });
  for (const std::uint64_t block : held) remove(block, endpoint);
}

void BlockHolders::depths(std::span<const std::uint64_t> blocks, std::span<std::uint32_t> by_place) const {
  std::ranges::fill(by_place, 0U);
  for (std::uint32_t depth = 0; depth < blocks.size(); ++depth) {
    const HolderSet* holders = table_.find(blocks[depth]);
    if (holders == nullptr) return;
    bool any = false;
    holders->for_each([&](std::uint16_t place) {
      if (place >= by_place.size() || by_place[place] != depth) return;
      ++by_place[place];
      any = true;
    });
    if (!any) return;
  }
}

}  // namespace llmd::simulation
