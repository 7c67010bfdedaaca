#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/budget.h"
#include "base/clock.h"
#include "model/endpoint.h"
#include "model/prefix_key.h"
#include "prefix/prefix_heat.h"

namespace llmd {

/// The answer to one match, and the memory it is made in: one object a thread and index, reused from call to call, so
/// that a match allocates nothing while the pool stays as it is.
struct PrefixMatch {
  /// How many blocks of the key each endpoint is thought to hold, in the order of the endpoints given to match().
  std::vector<std::uint32_t> blocks;
  /// How many blocks of the key were known to any endpoint, from the first on without a gap.
  std::uint32_t known_blocks = 0;
  /// Recent uses of what is known of the key: see PrefixHeat.
  float heat = 0;

  // Kept between calls by PrefixIndex: which slot each endpoint has in the index.
  std::vector<std::shared_ptr<const Endpoint>> endpoints;
  std::vector<std::uint32_t> slots;
  std::vector<std::uint32_t> blocks_by_slot;
  std::uint64_t epoch = 0;
  std::uint32_t stripe = 0;
};

/// Who holds which block, by block hash. Approximate: fed by our own decisions, it guesses what engines cached from
/// what was sent to them (insert of whole keys). Precise: fed by their KV events (insert of the blocks stored, erase of
/// those removed, clear). It may be wrong both ways; it steers and never names stored KV.
///
/// An endpoint keeps its `endpoint_blocks_max` most recently used blocks; over all endpoints the byte budget bounds
/// them, the longest unused going first. "Recent" is told apart in sixteenths of what is held (UseLog). Of a prompt a
/// block never goes before one that comes after it, so that what stays is a usable prefix.
///
/// Thread-safe. A match takes no lock and never waits for an insert, unless it meets writers 64 times at one place;
/// writers take turns. 30 to 60 ns a block matched, 100 to 300 inserted; 14 to 27 bytes a (block, endpoint) pair.
/// Inserts for more endpoints than `endpoints_max` are dropped and counted. Same calls, same answers.
class PrefixIndex {
 public:
  struct Options {
    std::uint32_t endpoint_blocks_max = 31'250;         // llm-d's lruCapacityPerServer
    std::uint16_t endpoints_max = 1'024;                // known at once; at most 32,000
    std::uint64_t seed = 0;                             // of the tables; drawn by the host, so that clients cannot aim
    Duration heat_half_life = std::chrono::minutes{1};  // longer: what was hot stays hot
  };
  struct Stats {
    std::size_t blocks = 0;     // distinct
    std::size_t entries = 0;    // (block, endpoint) pairs
    std::size_t endpoints = 0;  // with at least one insert since they were last removed
    std::size_t memory_bytes = 0;
    std::uint64_t evictions = 0;
    std::uint64_t dropped = 0;  // blocks that no eviction could make room for
  };

  /// `budget` must outlive the index. Memory once taken from it is kept for later blocks until the index ends.
  PrefixIndex(Options options, Budget& budget);
  ~PrefixIndex();
  PrefixIndex(const PrefixIndex&) = delete;
  PrefixIndex& operator=(const PrefixIndex&) = delete;

  /// The endpoint was sent a prompt with this key: it is thought to hold all its blocks, as just used.
  void insert(std::string_view endpoint, const PrefixKey& key) { insert(endpoint, std::span{key.hashes}); }
  /// The endpoint holds these blocks, each one after its parent, as just used.
  void insert(std::string_view endpoint, std::span<const std::uint64_t> blocks);
  /// The endpoint holds these blocks no longer. Unknown ones: nothing.
  void erase(std::string_view endpoint, std::span<const std::uint64_t> blocks);
  /// The endpoint holds nothing, but stays known. O(its blocks).
  void clear(std::string_view endpoint);
  /// Forgets the endpoint, in O(its blocks). Unknown names: nothing.
  void remove(std::string_view endpoint);

  /// Fills `match.blocks` for all endpoints at once: walks the key until a block that nobody holds, and counts for each
  /// endpoint the blocks walked that it holds (llm-d's rule: gaps are allowed). Changes no order of use. `now` is for
  /// the heat.
  void match(const PrefixKey& key, std::span<const EndpointState> endpoints, PrefixMatch& match,
             TimePoint now = {}) const;

  /// A prompt with this key was sent somewhere: heats its beginnings.
  void note_use(const PrefixKey& key, TimePoint now);
  /// The hottest shared beginnings.
  [[nodiscard]] std::vector<HotPrefix> hot_prefixes(std::size_t count, TimePoint now) const;

  [[nodiscard]] Stats stats() const;
  /// How many blocks each known endpoint is thought to hold, by name. For people: it holds up inserts.
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> endpoint_blocks() const;
  /// Table, log and counts agree. O(entries); for tests, and on idle in debug builds.
  [[nodiscard]] bool check_integrity() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace llmd
