#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/budget.h"
#include "base/hash.h"
#include "engine/llama/sequence.h"
#include "kvstore/block_store.h"
#include "llamacpp/context.h"

namespace llmd::engine {

struct KvBlocksOptions {
  Digest256 fingerprint{};  // of all that KV depends on beside tokens and salt
  std::uint32_t block_tokens = 32;
  std::size_t bytes_per_token = 0;
  std::uint64_t store_bytes = 0;
  bool shareable = false;  // other processes may read the store
};

/// The blocks of an engine: names them, saves full ones from slots to the store, restores leading ones into empty
/// slots. The store inside is thread-safe; the rest belongs to the engine's thread.
class KvBlocks {
 public:
  explicit KvBlocks(const KvBlocksOptions& options);

  [[nodiscard]] BlockScope scope(std::string_view salt) const noexcept { return {options_.fingerprint, {}, salt}; }
  /// Names the sequence's full blocks that have no name yet.
  void extend_chain(Sequence& sequence) const;

  /// Leading tokens of the sequence that the store holds.
  [[nodiscard]] std::uint32_t restorable_tokens(const Sequence& sequence);
  /// Whether the block of tokens from `first` has one name in both. A name covers all tokens before, so one look does.
  [[nodiscard]] bool share_block(const Sequence& a, const Sequence& b, std::uint32_t first) const noexcept;
  /// Saves the full blocks among the first `computed` tokens that are not saved yet. Never fails the sequence: what
  /// cannot be saved is computed again if it is needed.
  void save(Sequence& sequence, const llamacpp::Context& context, std::uint32_t slot, std::uint32_t computed);
  /// What the store has evicted of the sequence meanwhile is saved again by the next save().
  void recheck(Sequence& sequence);
  /// Restores up to `tokens` leading tokens into an empty slot; returns how many.
  [[nodiscard]] std::uint32_t restore(Sequence& sequence, llamacpp::Context& context, std::uint32_t slot,
                                      std::uint32_t tokens);

  [[nodiscard]] kvstore::BlockStore& store() noexcept { return store_; }
  [[nodiscard]] const kvstore::BlockStore& store() const noexcept { return store_; }
  [[nodiscard]] std::uint32_t block_tokens() const noexcept { return options_.block_tokens; }
  [[nodiscard]] std::size_t block_bytes() const noexcept { return options_.block_tokens * options_.bytes_per_token; }

 private:
  [[nodiscard]] bool save_block(Sequence& sequence, const llamacpp::Context& context, std::uint32_t slot,
                                std::size_t block);
  KvBlocksOptions options_;
  Budget budget_;
  kvstore::BlockStore store_;
};

}  // namespace llmd::engine
