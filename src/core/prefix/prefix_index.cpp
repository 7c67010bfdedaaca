#include "prefix/prefix_index.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "prefix/holder_table.h"
#include "prefix/index_memory.h"
#include "prefix/use_log.h"

namespace llmd {
namespace {

constexpr std::uint32_t kNoSlot = 0xffff'ffff;
// Charged for a pair before it is there. What is taken for it is less in the long run, see the README.
constexpr std::size_t kPairBytes = 32;
constexpr std::size_t kSlotBytes = 256;  // a name, its place in the map, a UseLog::Uses
constexpr std::size_t kAhead = 8;        // blocks whose words are loaded in advance
constexpr std::size_t kHeatCountersMax = 4'096;

// A shard for each 64 KB, so that growing one is short, and its size is small against the whole.
std::size_t shards_for(std::size_t bytes) { return std::clamp<std::size_t>(std::bit_floor(bytes >> 16U), 1, 4'096); }
std::size_t heat_counters_for(std::size_t bytes) {
  return std::min(kHeatCountersMax, bytes / 64 / PrefixHeat::kCounterBytes);
}

struct NameHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view name) const noexcept { return std::hash<std::string_view>{}(name); }
};

bool same_endpoints(std::span<const EndpointState> now, const PrefixMatch& match) {
  return std::equal(
      now.begin(), now.end(), match.endpoints.begin(), match.endpoints.end(),
      [](const EndpointState& state, const std::shared_ptr<const Endpoint>& known) { return state.endpoint == known; });
}

}  // namespace

struct PrefixIndex::Impl {
  Impl(Options opts, Budget& budget)
      : options{opts},
        memory{budget},
        table{opts.seed, shards_for(budget.limit_bytes()), memory},
        log{memory},
        heat_charge{budget, heat_counters_for(budget.limit_bytes()) * PrefixHeat::kCounterBytes},
        heat{heat_charge.bytes() / PrefixHeat::kCounterBytes, opts.heat_half_life, opts.seed} {}

  std::optional<std::uint16_t> slot_for(std::string_view endpoint);
  std::optional<std::uint16_t> known_slot(std::string_view endpoint) const;
  std::uint32_t generation_for(std::uint16_t slot, std::uint64_t last_block);
  bool put(std::uint64_t hash, std::uint16_t slot);
  template <class Try>
  bool with_room(Try&& attempt);
  bool make_room(std::uint16_t slot);
  bool evict_from(std::uint32_t generation);
  bool evict_of(std::uint16_t slot);
  bool evict_any();
  void clear(std::uint16_t slot);
  void tidy_up(std::uint16_t slot);
  void resolve(std::span<const EndpointState> endpoints, PrefixMatch& match) const;
  std::uint32_t count_blocks(const PrefixKey& key, std::vector<std::uint32_t>& counts) const;
  Holders holders_of(const HolderTable::Place& place) const;
  void prefetch(std::uint64_t hash) const noexcept { HolderTable::prefetch(table.place(hash)); }

  const Options options;
  mutable std::mutex mutex;  // of writers
  mutable IndexMemory memory;
  HolderTable table;
  UseLog log;
  Charge heat_charge;
  PrefixHeat heat;
  std::unordered_map<std::string, std::uint16_t, NameHash, std::equal_to<>> slots;
  std::vector<std::uint16_t> free_slots;
  std::uint32_t inserting = UseLog::kNone;  // the generation that must not be evicted from
  std::atomic<std::uint64_t> epoch{1};      // moves when a name gets a slot or loses it
  std::atomic<std::uint32_t> slot_count{0};
  mutable std::atomic<std::uint32_t> next_stripe{1};
  std::uint64_t evictions = 0;
  std::uint64_t dropped = 0;
};

PrefixIndex::PrefixIndex(Options options, Budget& budget) : impl_{std::make_unique<Impl>(options, budget)} {}
PrefixIndex::~PrefixIndex() = default;

std::optional<std::uint16_t> PrefixIndex::Impl::known_slot(std::string_view endpoint) const {
  const auto found = slots.find(endpoint);
  return found == slots.end() ? std::nullopt : std::optional{found->second};
}

std::optional<std::uint16_t> PrefixIndex::Impl::slot_for(std::string_view endpoint) {
  if (const auto known = known_slot(endpoint)) return known;
  std::uint16_t slot = 0;
  if (!free_slots.empty()) {
    slot = free_slots.back();
    free_slots.pop_back();
  } else if (log.slots() < std::min(options.endpoints_max, HolderTable::kSlotMax) && memory.count_in(kSlotBytes)) {
    slot = static_cast<std::uint16_t>(log.slots());
    log.add_slot();
    slot_count = static_cast<std::uint32_t>(log.slots());
  } else {
    return std::nullopt;
  }
  slots.emplace(endpoint, slot);
  ++epoch;
  return slot;
}

// Until it finds memory: what is evicted leaves some. False: it did not.
template <class Try>
bool PrefixIndex::Impl::with_room(Try&& attempt) {
  if (attempt()) return true;
  for (int i = 0; i < 64 && evict_any(); ++i) {
    memory.reclaim();
    if (attempt()) return true;
  }
  return false;
}

// The generation that a prompt goes into: the endpoint's newest, or a new one.
std::uint32_t PrefixIndex::Impl::generation_for(std::uint16_t slot, std::uint64_t last_block) {
  const UseLog::Uses& uses = log.uses(slot);
  if (!log.closed(slot, options.endpoint_blocks_max, table.pairs())) return uses.newest;
  if (uses.newest != UseLog::kNone) {
    // Where the last block is, those before it are: a prompt that is used again and again stays where it is.
    const HolderTable::Pair pair = table.pair(last_block, slot);
    if (pair && pair.mark() == log.generation(uses.newest).mark) return uses.newest;
  }
  std::uint32_t opened = UseLog::kNone;
  (void)with_room([&] { return (opened = log.open(slot)) != UseLog::kNone; });
  return opened;
}

bool PrefixIndex::Impl::put(std::uint64_t hash, std::uint16_t slot) {
  const std::uint16_t mark = log.generation(inserting).mark;
  HolderTable::Pair pair = table.pair(hash, slot);
  if (pair && pair.mark() == mark) return true;
  if (!pair && !make_room(slot)) return false;
  const std::uint64_t evictions_before = evictions;
  if (!with_room([&] { return log.push(slot, hash); })) return false;
  if (evictions != evictions_before) pair = table.pair(hash, slot);  // it may have been this one
  if (pair) {
    pair.set_mark(mark);
    return true;
  }
  if (!with_room([&] { return table.add(hash, slot, mark); })) {
    (void)log.pop(inserting);
    return false;
  }
  ++log.uses(slot).blocks;
  return true;
}

// Makes sure that one more pair may be held.
bool PrefixIndex::Impl::make_room(std::uint16_t slot) {
  if (options.endpoint_blocks_max == 0) return false;
  if (log.uses(slot).blocks >= options.endpoint_blocks_max && !evict_of(slot)) return false;
  while (!memory.cover((table.pairs() + 1) * kPairBytes)) {
    if (!evict_any()) return false;
  }
  return true;
}

// Forgets the last valid entry of a generation, and the stale ones behind it. False if there was none; then it is gone,
// unless it is the one that is being filled. Pre: it is its endpoint's oldest.
bool PrefixIndex::Impl::evict_from(std::uint32_t number) {
  const std::uint16_t slot = log.generation(number).slot;
  const std::uint16_t mark = log.generation(number).mark;
  bool evicted = false;
  while (!evicted && log.generation(number).entries > 0) {
    prefetch(log.peek(number, kAhead));
    const std::uint64_t hash = log.pop(number);
    const HolderTable::Pair pair = table.pair(hash, slot);
    if (!pair || pair.mark() != mark) continue;
    table.remove(hash, slot);
    --log.uses(slot).blocks;
    ++evictions;
    evicted = true;
  }
  if (log.generation(number).entries == 0) log.drop_oldest(slot);
  return evicted;
}

bool PrefixIndex::Impl::evict_of(std::uint16_t slot) {
  for (;;) {
    const std::uint32_t oldest = log.uses(slot).oldest;
    if (oldest == UseLog::kNone || oldest == inserting) return false;
    if (evict_from(oldest)) return true;
  }
}

bool PrefixIndex::Impl::evict_any() {
  for (;;) {
    std::uint32_t oldest = log.oldest();
    if (oldest != UseLog::kNone && oldest == inserting) oldest = log.generation(oldest).newer;
    if (oldest == UseLog::kNone) return false;
    if (evict_from(oldest)) return true;
  }
}

void PrefixIndex::Impl::clear(std::uint16_t slot) {
  for (std::uint32_t number = log.uses(slot).oldest; number != UseLog::kNone; number = log.uses(slot).oldest) {
    while (log.generation(number).entries > 0) {
      prefetch(log.peek(number, kAhead));
      table.remove(log.pop(number), slot);
    }
    log.drop_oldest(slot);
  }
  log.uses(slot).blocks = 0;
}

// What a writer leaves behind it: no empty generation, not too many stale entries, no memory that waits.
void PrefixIndex::Impl::tidy_up(std::uint16_t slot) {
  inserting = UseLog::kNone;
  const std::uint32_t newest = log.uses(slot).newest;
  if (newest != UseLog::kNone && log.generation(newest).entries == 0) log.drop_newest(slot);
  if (log.wants_renewal(slot)) {
    const auto keep = [&](std::uint64_t hash, std::uint16_t mark, std::uint16_t new_mark) {
      const HolderTable::Pair pair = table.pair(hash, slot);
      if (!pair || pair.mark() != mark) return false;
      pair.set_mark(new_mark);
      return true;
    };
    log.renew(slot, keep, [&](std::uint64_t hash) { prefetch(hash); });
  }
  memory.reclaim();
}

void PrefixIndex::insert(std::string_view endpoint, std::span<const std::uint64_t> blocks) {
  if (blocks.empty()) return;
  Impl& impl = *impl_;
  const std::scoped_lock lock{impl.mutex};
  const auto slot = impl.slot_for(endpoint);
  if (!slot) {
    impl.dropped += blocks.size();
    return;
  }
  impl.inserting = impl.generation_for(*slot, blocks.back());
  for (const std::uint64_t block : blocks.first(std::min(kAhead, blocks.size()))) impl.prefetch(block);
  std::size_t done = 0;
  while (done < blocks.size() && impl.inserting != UseLog::kNone && impl.put(blocks[done], *slot)) {
    if (++done + kAhead <= blocks.size()) impl.prefetch(blocks[done + kAhead - 1]);
  }
  impl.dropped += blocks.size() - done;  // without one block those behind it are of no use
  impl.tidy_up(*slot);
}

void PrefixIndex::erase(std::string_view endpoint, std::span<const std::uint64_t> blocks) {
  const std::scoped_lock lock{impl_->mutex};
  const auto slot = impl_->known_slot(endpoint);
  if (!slot) return;
  for (const std::uint64_t block : blocks) {
    if (impl_->table.remove(block, *slot)) --impl_->log.uses(*slot).blocks;
  }
  impl_->tidy_up(*slot);
}

void PrefixIndex::clear(std::string_view endpoint) {
  const std::scoped_lock lock{impl_->mutex};
  const auto slot = impl_->known_slot(endpoint);
  if (!slot) return;
  impl_->clear(*slot);
  impl_->tidy_up(*slot);
}

void PrefixIndex::remove(std::string_view endpoint) {
  const std::scoped_lock lock{impl_->mutex};
  const auto found = impl_->slots.find(endpoint);
  if (found == impl_->slots.end()) return;
  const std::uint16_t slot = found->second;
  impl_->clear(slot);
  impl_->slots.erase(found);
  impl_->free_slots.push_back(slot);
  ++impl_->epoch;
  impl_->tidy_up(slot);
}

void PrefixIndex::Impl::resolve(std::span<const EndpointState> endpoints, PrefixMatch& match) const {
  const std::scoped_lock lock{mutex};
  match.endpoints.clear();
  match.slots.clear();
  for (const EndpointState& state : endpoints) {
    const auto slot = known_slot(state.endpoint->name);
    match.endpoints.push_back(state.endpoint);
    match.slots.push_back(slot ? *slot : kNoSlot);
  }
  match.epoch = epoch;
}

Holders PrefixIndex::Impl::holders_of(const HolderTable::Place& place) const {
  if (const std::optional<Holders> found = table.find(place)) [[likely]]
    return *found;
  const std::scoped_lock lock{mutex};
  return table.find(place).value_or(Holders{});
}

// How many blocks somebody holds.
std::uint32_t PrefixIndex::Impl::count_blocks(const PrefixKey& key, std::vector<std::uint32_t>& counts) const {
  // Neighbouring blocks mostly have the same holders: one pass over the holders a run, not a block.
  Holders run;
  std::uint32_t run_length = 0;
  const auto flush = [&] {
    run.for_each([&](std::uint16_t slot) {
      if (slot < counts.size()) counts[slot] += run_length;  // not so: it came while this match ran
    });
  };
  const std::vector<std::uint64_t>& hashes = key.hashes;
  std::array<HolderTable::Place, kAhead> places;  // of the blocks from `known` on
  const auto look_ahead = [&](std::size_t i) {
    places[i % kAhead] = table.place(hashes[i]);
    HolderTable::prefetch(places[i % kAhead]);
  };
  std::size_t ahead = 0;
  std::uint32_t known = 0;
  while (known < hashes.size()) {
    // Nothing in advance before the first is known: most prompts that nobody holds end there.
    while (ahead < std::min(known == 0 ? 1 : known + kAhead, hashes.size())) look_ahead(ahead++);
    const Holders holders = holders_of(places[known % kAhead]);
    if (holders.count == 0) break;
    ++known;
    if (holders == run) {
      ++run_length;
      continue;
    }
    flush();
    run = holders;
    run_length = 1;
  }
  flush();
  return known;
}

void PrefixIndex::match(const PrefixKey& key, std::span<const EndpointState> endpoints, PrefixMatch& match,
                        TimePoint now) const {
  match.blocks.assign(endpoints.size(), 0);
  match.known_blocks = 0;
  match.heat = 0;
  if (key.hashes.empty()) return;
  const Impl& impl = *impl_;
  if (match.stripe == 0) match.stripe = impl.next_stripe++;
  if (match.epoch != impl.epoch || !same_endpoints(endpoints, match)) impl.resolve(endpoints, match);
  match.blocks_by_slot.assign(impl.slot_count, 0);
  {
    const IndexMemory::Reader reader = impl.memory.enter(match.stripe);
    match.known_blocks = impl.count_blocks(key, match.blocks_by_slot);
  }
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    if (match.slots[i] < match.blocks_by_slot.size()) match.blocks[i] = match.blocks_by_slot[match.slots[i]];
  }
  match.heat = impl.heat.heat(key, match.known_blocks, now);
}

void PrefixIndex::note_use(const PrefixKey& key, TimePoint now) { impl_->heat.use(key, now); }

std::vector<HotPrefix> PrefixIndex::hot_prefixes(std::size_t count, TimePoint now) const {
  return impl_->heat.top(count, now);
}

PrefixIndex::Stats PrefixIndex::stats() const {
  const std::scoped_lock lock{impl_->mutex};
  return {.blocks = impl_->table.blocks(),
          .entries = impl_->table.pairs(),
          .endpoints = impl_->slots.size(),
          .memory_bytes = impl_->memory.taken_bytes() + impl_->heat_charge.bytes(),
          .evictions = impl_->evictions,
          .dropped = impl_->dropped};
}

std::vector<std::pair<std::string, std::uint64_t>> PrefixIndex::endpoint_blocks() const {
  std::vector<std::pair<std::string, std::uint64_t>> blocks;
  {
    const std::scoped_lock lock{impl_->mutex};
    blocks.reserve(impl_->slots.size());
    for (const auto& [name, slot] : impl_->slots) blocks.emplace_back(name, impl_->log.uses(slot).blocks);
  }
  std::ranges::sort(blocks);
  return blocks;
}

bool PrefixIndex::check_integrity() const {
  Impl& impl = *impl_;
  const std::scoped_lock lock{impl.mutex};
  if (!impl.table.check_integrity() || !impl.log.check_integrity()) return false;
  std::size_t pairs = 0;
  for (std::size_t i = 0; i < impl.log.slots(); ++i) {
    const auto slot = static_cast<std::uint16_t>(i);
    std::unordered_set<std::uint64_t> held;
    for (std::uint32_t g = impl.log.uses(slot).oldest; g != UseLog::kNone; g = impl.log.generation(g).link) {
      impl.log.for_each(g, [&](std::uint64_t hash) {
        const HolderTable::Pair pair = impl.table.pair(hash, slot);
        if (pair && pair.mark() == impl.log.generation(g).mark) held.insert(hash);
      });
    }
    if (held.size() != impl.log.uses(slot).blocks) return false;
    pairs += held.size();
  }
  return pairs == impl.table.pairs();
}

}  // namespace llmd
