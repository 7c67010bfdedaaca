#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "model/prefix_key.h"

namespace llmd {

/// A beginning that prompts share, and how much it is used.
struct HotPrefix {
  std::uint64_t hash = 0;    // of its last block, which stands for all of it
  std::uint32_t blocks = 0;  // its length: a power of two
  float uses = 0;            // a use counts 1 at once and half after each half-life
};

/// How often beginnings of prompts were used lately, for those of 1, 2, 4, 8, ... blocks: a fixed number of counters,
/// in which the coldest of eight makes room for a new one. A counter that lost its place starts anew, so counts may be
/// too low, never too high. Thread-safe: heat() takes no lock. A use costs some 10 ns a counter.
class PrefixHeat {
 public:
  static constexpr std::size_t kCounterBytes = 32;

  /// `seed` says which counters a beginning may take, so that clients cannot aim at those of others.
  PrefixHeat(std::size_t counters, Duration half_life, std::uint64_t seed);

  /// A prompt with this key was sent.
  void use(const PrefixKey& key, TimePoint now);
  /// Uses of the longest counted beginning within the first `blocks` blocks of the key; 0 if none is.
  [[nodiscard]] float heat(const PrefixKey& key, std::size_t blocks, TimePoint now) const noexcept;
  /// The `count` hottest, hottest first; of nested ones only the longest, unless the longer is less than half as hot.
  [[nodiscard]] std::vector<HotPrefix> top(std::size_t count, TimePoint now) const;

 private:
  static constexpr std::size_t kWays = 8;
  struct alignas(kCounterBytes) Counter {
    std::atomic<std::uint64_t> hash{0};   // 0: free
    std::atomic<std::uint64_t> state{0};  // uses as a float | their time in ticks
    std::uint64_t parent = 0;             // the beginning of half the length
    std::uint32_t blocks = 0;
  };

  [[nodiscard]] std::uint32_t ticks(TimePoint time) const noexcept;
  [[nodiscard]] float uses(const Counter& counter, std::uint32_t now) const noexcept;
  [[nodiscard]] Counter* bucket(std::uint64_t hash) const noexcept;

  std::uint64_t seed_;
  std::size_t buckets_;
  double ticks_per_half_life_;
  std::unique_ptr<Counter[]> counters_;
  mutable std::mutex mutex_;  // of those who change or list
};

}  // namespace llmd
