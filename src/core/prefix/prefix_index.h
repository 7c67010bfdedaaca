#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/budget.h"
#include "model/endpoint.h"
#include "model/prefix_key.h"

namespace llmd {

/// The answer to one match, and the memory it is made in: one object a thread and index, reused from call to call, so
/// that a match allocates nothing while the pool stays as it is.
struct PrefixMatch {
  /// How many blocks of the key each endpoint is thought to hold, in the order of the endpoints given to match().
  std::vector<std::uint32_t> blocks;

  // Kept between calls by PrefixIndex: which slot each endpoint has in the index.
  std::vector<std::shared_ptr<const Endpoint>> endpoints;
  std::vector<std::uint32_t> slots;
  std::vector<std::uint32_t> blocks_by_slot;
  std::uint64_t epoch = 0;
};

/// Who probably holds which block: an approximate index fed by our own decisions. It guesses what engines cached from
/// what was sent to them, so it may be wrong both ways; it steers and never names stored KV.
///
/// An endpoint keeps its `endpoint_blocks_max` most recently used blocks; over all endpoints the byte budget bounds
/// them, the longest unused going first. Of one request the last block goes first, so that what stays is a usable
/// prefix.
///
/// Thread-safe: matches share a lock, insert and remove take it alone. A match costs about 20 ns a block, an insert 100
/// ns. Inserts for more endpoints than `endpoints_max` are dropped and counted.
class PrefixIndex {
 public:
  struct Options {
    std::uint32_t endpoint_blocks_max = 31'250;  // llm-d's lruCapacityPerServer
    std::uint16_t endpoints_max =
        1'024;               // known at once; higher: a pair is charged more, 64 + endpoints_max / 32 bytes
    std::uint64_t seed = 0;  // of the tables; drawn at random by the host, so that clients cannot aim
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
  void insert(std::string_view endpoint, const PrefixKey& key);

  /// Fills `match.blocks` for all endpoints at once: walks the key until a block that nobody holds, and counts for each
  /// endpoint the blocks walked that it holds (llm-d's rule: gaps are allowed). Changes no order of use.
  void match(const PrefixKey& key, std::span<const EndpointState> endpoints, PrefixMatch& match) const;

  /// Forgets the endpoint, in O(its blocks). Unknown names: nothing.
  void remove(std::string_view endpoint);

  [[nodiscard]] Stats stats() const;
  /// Tables, lists and counts agree. O(entries); for tests, and on idle in debug builds.
  [[nodiscard]] bool check_integrity() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace llmd
