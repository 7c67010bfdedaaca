#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "simulation/policy.h"

namespace llmd::simulation {

/// Which worker was sent which prefix: the approximate tree of sglang's router, with blocks for pages of tokens
/// (lightseekorg/smg, crates/kv_index/src/token_tree.rs, commit 73da68ca). A block's name stands for all tokens before
/// it, so the tree is a table by name in which each block knows the one before.
///
/// As there: a worker that is matched counts as having used the block; a block remembers one worker in 16 of those that
/// touch it and answers with it while it holds the block, else with any (here: the one that has held it longest); a
/// worker's size counts what was sent, also if it was there; eviction takes a worker's least recently used leaves. Not
/// as there: an edge of the tree is one block, so eviction stops at the very block.
class RoutedPrefixTree {
 public:
  struct Match {
    std::uint32_t blocks = 0;            // how many of the prompt's first blocks some worker was sent
    std::uint32_t worker = kNoEndpoint;  // one that was sent the last of them
  };

  [[nodiscard]] Match match(std::span<const std::uint64_t> blocks);
  void insert(std::span<const std::uint64_t> blocks, std::uint32_t worker);
  /// Brings every worker's size down to `blocks_max`. O(blocks) for each worker above it.
  void evict(std::uint64_t blocks_max);

  [[nodiscard]] std::size_t blocks() const noexcept { return nodes_.size(); }
  /// Blocks that count as the worker's.
  [[nodiscard]] std::uint64_t size_of(std::uint32_t worker) const noexcept;

 private:
  struct Holder {
    std::uint32_t worker = 0;
    std::uint64_t used = 0;
  };
  struct Node {
    std::uint64_t parent = 0;  // 0: none
    std::uint32_t remembered = kNoEndpoint;
    std::vector<Holder> holders{};  // in the order in which they came
  };
  /// A block of the worker that is being evicted from.
  struct Leaf {
    std::uint64_t used = 0;
    std::uint64_t block = 0;
    [[nodiscard]] bool operator>(const Leaf& other) const noexcept {
      return used != other.used ? used > other.used : block > other.block;
    }
  };

  static Holder* find(Node& node, std::uint32_t worker) noexcept;
  [[nodiscard]] static std::uint32_t any_worker(Node& node) noexcept;
  void touch(Node& node, std::uint32_t worker);
  void drop(std::uint64_t block, std::uint32_t worker);
  /// Returns how many blocks it took away.
  std::uint64_t evict_from(std::uint32_t worker, std::uint64_t count);

  std::unordered_map<std::uint64_t, Node> nodes_;
  std::vector<std::uint64_t> sizes_;  // by worker
  std::uint64_t uses_ = 0;            // a clock that each touch moves
};

}  // namespace llmd::simulation
