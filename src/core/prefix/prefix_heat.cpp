#include "prefix/prefix_heat.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

namespace llmd {
namespace {

using Tick = std::chrono::duration<std::int64_t, std::ratio<1, 16>>;

std::uint64_t packed(float uses, std::uint32_t time) noexcept {
  return std::uint64_t{std::bit_cast<std::uint32_t>(uses)} << 32U | time;
}

}  // namespace

PrefixHeat::PrefixHeat(std::size_t counters, Duration half_life, std::uint64_t seed)
    : seed_{seed},
      buckets_{counters / kWays},
      ticks_per_half_life_{to_seconds(half_life) * Tick::period::den},
      counters_{buckets_ == 0 ? nullptr : std::make_unique<Counter[]>(buckets_ * kWays)} {}

std::uint32_t PrefixHeat::ticks(TimePoint time) const noexcept {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<Tick>(time.time_since_epoch()).count());
}

float PrefixHeat::uses(const Counter& counter, std::uint32_t now) const noexcept {
  const std::uint64_t state = counter.state.load(std::memory_order_relaxed);
  const float before = std::bit_cast<float>(static_cast<std::uint32_t>(state >> 32U));
  // A time that another thread read a little later does not heat.
  const auto age = std::max(0, static_cast<std::int32_t>(now - static_cast<std::uint32_t>(state)));
  return age == 0 ? before : before * std::exp2(-static_cast<float>(age / ticks_per_half_life_));
}

PrefixHeat::Counter* PrefixHeat::bucket(std::uint64_t hash) const noexcept {
  std::uint64_t mixed = (hash ^ seed_) * 0x9e37'79b9'7f4a'7c15ULL;
  mixed = (mixed ^ mixed >> 32U) * 0xd6e8'feb8'6659'fd93ULL;
  return counters_.get() + (mixed >> 32U) * buckets_ / (std::uint64_t{1} << 32U) * kWays;
}

void PrefixHeat::use(const PrefixKey& key, TimePoint now) {
  if (buckets_ == 0) return;
  const std::uint32_t time = ticks(now);
  std::uint64_t parent = 0;
  const std::scoped_lock lock{mutex_};
  for (std::size_t blocks = 1; blocks <= key.hashes.size(); blocks *= 2) {
    const std::uint64_t hash = key.hashes[blocks - 1];
    Counter* const first = bucket(hash);
    Counter* const known = std::find_if(
        first, first + kWays, [&](const Counter& each) { return each.hash.load(std::memory_order_relaxed) == hash; });
    if (known != first + kWays) {
      known->state.store(packed(uses(*known, time) + 1, time), std::memory_order_relaxed);
    } else {
      Counter* const coldest = std::min_element(
          first, first + kWays, [&](const Counter& a, const Counter& b) { return uses(a, time) < uses(b, time); });
      coldest->hash.store(hash, std::memory_order_relaxed);
      coldest->state.store(packed(1, time), std::memory_order_relaxed);
      coldest->parent = parent;
      coldest->blocks = static_cast<std::uint32_t>(blocks);
    }
    parent = hash;
  }
}

float PrefixHeat::heat(const PrefixKey& key, std::size_t blocks, TimePoint now) const noexcept {
  if (buckets_ == 0) return 0;
  const std::uint32_t time = ticks(now);
  for (std::size_t length = std::bit_floor(std::min(blocks, key.hashes.size())); length > 0; length /= 2) {
    const std::uint64_t hash = key.hashes[length - 1];
    const Counter* const first = bucket(hash);
    for (const Counter* each = first; each != first + kWays; ++each) {
      if (each->hash.load(std::memory_order_relaxed) == hash) return uses(*each, time);
    }
  }
  return 0;
}

std::vector<HotPrefix> PrefixHeat::top(std::size_t count, TimePoint now) const {
  const std::uint32_t time = ticks(now);
  std::vector<HotPrefix> hot;
  std::unordered_map<std::uint64_t, float> longer;  // by prefix: uses of the hottest of twice its length
  {
    const std::scoped_lock lock{mutex_};
    for (std::size_t i = 0; i < buckets_ * kWays; ++i) {
      const Counter& each = counters_[i];
      const std::uint64_t hash = each.hash.load(std::memory_order_relaxed);
      if (hash == 0) continue;
      const float used = uses(each, time);
      hot.push_back({.hash = hash, .blocks = each.blocks, .uses = used});
      float& most = longer[each.parent];
      most = std::max(most, used);
    }
  }
  std::erase_if(hot, [&](const HotPrefix& each) {
    const auto found = longer.find(each.hash);
    return found != longer.end() && found->second * 2 >= each.uses;
  });
  std::ranges::sort(
      hot, [](const HotPrefix& a, const HotPrefix& b) { return a.uses != b.uses ? a.uses > b.uses : a.hash < b.hash; });
  if (hot.size() > count) hot.resize(count);
  return hot;
}

}  // namespace llmd
