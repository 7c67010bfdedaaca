#include "prefix/prefix_index.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>

#include "prefix/block_table.h"
#include "prefix/holder_set.h"
#include "prefix/use_lists.h"

namespace llmd {
namespace {

constexpr std::uint16_t kSlotsMax = 0xffff;
constexpr std::uint32_t kNoSlot = 0xffff'ffff;
// Evictions for want of bytes come in batches, so that looking for the longest unused endpoint is not done for each
// block.
constexpr int kEvictionBatch = 32;

struct NameHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view name) const noexcept { return std::hash<std::string_view>{}(name); }
};

// What one pair costs at worst. As the only holder of its block: 24 bytes grown by halves (36), 4 in a table just
// doubled (10.7), 16 in another (42.7). As one of four: a quarter of that last and of a bit set over all slots (24
// bytes and 1/8 a slot).
std::size_t pair_bytes(std::uint16_t endpoints_max) { return std::max<std::size_t>(90, 64 + endpoints_max / 32U); }

bool same_endpoints(std::span<const EndpointState> now, const PrefixMatch& match) {
  return std::equal(
      now.begin(), now.end(), match.endpoints.begin(), match.endpoints.end(),
      [](const EndpointState& state, const std::shared_ptr<const Endpoint>& known) { return state.endpoint == known; });
}

}  // namespace

struct PrefixIndex::Impl {
  Impl(Options opts, Budget& bytes) : options{opts}, budget{bytes}, blocks{opts.seed}, uses{opts.seed} {}
  ~Impl() { budget.release(charged_bytes); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::optional<std::uint16_t> slot_for(std::string_view endpoint);
  bool add(std::uint64_t hash, std::uint16_t slot);
  bool make_room();
  bool evict_longest_unused();
  void evict(std::uint32_t pair);
  void resolve(std::span<const EndpointState> endpoints, PrefixMatch& match) const;
  void count_blocks(const PrefixKey& key, std::vector<std::uint32_t>& counts) const;

  const Options options;
  Budget& budget;
  mutable std::shared_mutex mutex;
  BlockTable blocks;
  UseLists uses;
  std::unordered_map<std::string, std::uint16_t, NameHash, std::equal_to<>> slots;
  std::vector<std::uint16_t> free_slots;
  std::size_t charged_bytes = 0;
  std::size_t set_bytes = 0;  // of bit sets
  std::uint64_t epoch = 1;    // moves when a name gets a slot or loses it
  std::uint32_t stamp = 0;
  std::uint64_t evictions = 0;
  std::uint64_t dropped = 0;
};

PrefixIndex::PrefixIndex(Options options, Budget& budget) : impl_{std::make_unique<Impl>(options, budget)} {}
PrefixIndex::~PrefixIndex() = default;

std::optional<std::uint16_t> PrefixIndex::Impl::slot_for(std::string_view endpoint) {
  if (const auto found = slots.find(endpoint); found != slots.end()) return found->second;
  std::uint16_t slot = 0;
  if (!free_slots.empty()) {
    slot = free_slots.back();
    free_slots.pop_back();
  } else if (uses.slots() < std::min(options.endpoints_max, kSlotsMax)) {
    slot = static_cast<std::uint16_t>(uses.slots());
    uses.add_slot();
  } else {
    return std::nullopt;
  }
  slots.emplace(endpoint, slot);
  ++epoch;
  return slot;
}

// Makes sure that the next pair has memory: that of a removed one, new, or that of an evicted one.
bool PrefixIndex::Impl::make_room() {
  if (uses.has_free()) return true;
  if (budget.try_charge(pair_bytes(options.endpoints_max))) {
    charged_bytes += pair_bytes(options.endpoints_max);
    return true;
  }
  return evict_longest_unused();
}

bool PrefixIndex::Impl::evict_longest_unused() {
  std::optional<std::uint16_t> victim;
  std::uint32_t age_max = 0;
  for (const auto& [name, slot] : slots) {
    const std::uint32_t oldest = uses.list(slot).oldest;
    if (oldest == UseLists::kNone) continue;
    const std::uint32_t age = stamp - uses.pair(oldest).stamp;
    if (!victim || age > age_max || (age == age_max && slot < *victim)) {
      victim = slot;
      age_max = age;
    }
  }
  if (!victim) return false;
  for (int i = 0; i < kEvictionBatch; ++i) {
    const std::uint32_t oldest = uses.list(*victim).oldest;
    // What this very insert added goes one by one: its last blocks make room for its first.
    if (oldest == UseLists::kNone || (i > 0 && uses.pair(oldest).stamp == stamp)) break;
    evict(oldest);
  }
  return true;
}

void PrefixIndex::Impl::evict(std::uint32_t pair) {
  const UseLists::Pair gone = uses.pair(pair);
  uses.remove(pair);
  HolderSet* holders = blocks.find(gone.hash);
  const std::size_t before = holders->heap_bytes();
  holders->remove(gone.slot);
  set_bytes -= before - holders->heap_bytes();
  if (holders->empty()) blocks.erase_emptied(gone.hash);
  ++evictions;
}

bool PrefixIndex::Impl::add(std::uint64_t hash, std::uint16_t slot) {
  if (const std::uint32_t known = uses.find(hash, slot); known != UseLists::kNone) {
    uses.touch(known, stamp);
    return true;
  }
  if (options.endpoint_blocks_max == 0) return false;
  if (uses.list(slot).count >= options.endpoint_blocks_max) evict(uses.list(slot).oldest);
  if (!make_room()) return false;
  uses.add(hash, slot, stamp);
  HolderSet& holders = blocks.find_or_add(hash);
  const std::size_t before = holders.heap_bytes();
  holders.add(slot);
  set_bytes += holders.heap_bytes() - before;
  return true;
}

void PrefixIndex::insert(std::string_view endpoint, const PrefixKey& key) {
  if (key.hashes.empty()) return;
  const std::unique_lock lock{impl_->mutex};
  ++impl_->stamp;
  const auto slot = impl_->slot_for(endpoint);
  if (!slot) {
    impl_->dropped += key.hashes.size();
    return;
  }
  // From the last block to the first: the first is then the newest, and the last is the first to go.
  for (std::size_t i = key.hashes.size(); i-- > 0;) {
    if (!impl_->add(key.hashes[i], *slot)) ++impl_->dropped;
  }
}

void PrefixIndex::remove(std::string_view endpoint) {
  const std::unique_lock lock{impl_->mutex};
  const auto found = impl_->slots.find(endpoint);
  if (found == impl_->slots.end()) return;
  const std::uint16_t slot = found->second;
  while (impl_->uses.list(slot).oldest != UseLists::kNone) impl_->evict(impl_->uses.list(slot).oldest);
  impl_->slots.erase(found);
  impl_->free_slots.push_back(slot);
  ++impl_->epoch;
}

void PrefixIndex::Impl::resolve(std::span<const EndpointState> endpoints, PrefixMatch& match) const {
  match.endpoints.clear();
  match.slots.clear();
  for (const EndpointState& state : endpoints) {
    const auto found = slots.find(std::string_view{state.endpoint->name});
    match.endpoints.push_back(state.endpoint);
    match.slots.push_back(found == slots.end() ? kNoSlot : found->second);
  }
  match.epoch = epoch;
}

void PrefixIndex::Impl::count_blocks(const PrefixKey& key, std::vector<std::uint32_t>& counts) const {
  constexpr std::size_t kAhead = 8;
  // Neighbouring blocks mostly have the same holders: one pass over the holders a run, not a block.
  const HolderSet* run = nullptr;
  std::uint32_t run_length = 0;
  const auto flush = [&] {
    if (run != nullptr) run->for_each([&](std::uint16_t slot) { counts[slot] += run_length; });
  };
  for (std::size_t i = 0; i < key.hashes.size(); ++i) {
    if (i + kAhead < key.hashes.size()) blocks.prefetch(key.hashes[i + kAhead]);
    const HolderSet* holders = blocks.find(key.hashes[i]);
    if (holders == nullptr) break;
    if (run != nullptr && *holders == *run) {
      ++run_length;
      continue;
    }
    flush();
    run = holders;
    run_length = 1;
  }
  flush();
}

void PrefixIndex::match(const PrefixKey& key, std::span<const EndpointState> endpoints, PrefixMatch& match) const {
  match.blocks.assign(endpoints.size(), 0);
  if (key.hashes.empty()) return;
  const std::shared_lock lock{impl_->mutex};
  if (match.epoch != impl_->epoch || !same_endpoints(endpoints, match)) impl_->resolve(endpoints, match);
  match.blocks_by_slot.assign(impl_->uses.slots(), 0);
  impl_->count_blocks(key, match.blocks_by_slot);
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    if (match.slots[i] != kNoSlot) match.blocks[i] = match.blocks_by_slot[match.slots[i]];
  }
}

PrefixIndex::Stats PrefixIndex::stats() const {
  const std::shared_lock lock{impl_->mutex};
  return {.blocks = impl_->blocks.size(),
          .entries = impl_->uses.size(),
          .endpoints = impl_->slots.size(),
          .memory_bytes = impl_->blocks.memory_bytes() + impl_->uses.memory_bytes() + impl_->set_bytes,
          .evictions = impl_->evictions,
          .dropped = impl_->dropped};
}

bool PrefixIndex::check_integrity() const {
  const std::shared_lock lock{impl_->mutex};
  if (!impl_->uses.check_integrity()) return false;
  std::size_t holders = 0;
  std::size_t set_bytes = 0;
  bool agree = true;
  impl_->blocks.for_each([&](std::uint64_t hash, const HolderSet& set) {
    holders += set.size();
    set_bytes += set.heap_bytes();
    set.for_each([&](std::uint16_t slot) { agree = agree && impl_->uses.find(hash, slot) != UseLists::kNone; });
  });
  return agree && holders == impl_->uses.size() && set_bytes == impl_->set_bytes;
}

}  // namespace llmd
