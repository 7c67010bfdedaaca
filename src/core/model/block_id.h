#pragma once

#include <compare>
#include <cstddef>
#include <cstring>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/ids.h"

namespace llmd {

/// Names a fixed-size block of KV that is stored, sent or restored: a SHA-256 chain over the parent block, the block's
/// token ids and, at the root, what else the KV depends on. Equal ids mean equal KV; ids never name a partial block.
struct BlockId {
  Digest256 bytes{};
  friend auto operator<=>(const BlockId&, const BlockId&) = default;
};

/// What KV depends on beside the tokens. Two engines share blocks only if all of it is equal.
struct BlockScope {
  Digest256 model_fingerprint{};   // weights, KV types and layout, engine version: see engine/llama
  std::string_view adapter{};      // LoRA name, empty for none
  std::string_view tenant_salt{};  // the request's cache_salt: blocks of different salts are never shared
};

/// The chain for a prompt: one id a full block, so `tokens.size() / block_tokens` ids (the tail has none).
/// Pre: block_tokens > 0. About 0.3 us a block of 32 tokens.
[[nodiscard]] std::vector<BlockId> block_chain(const BlockScope& scope, std::span<const TokenId> tokens,
                                               std::size_t block_tokens);

/// The same chain, grown as tokens are made: `extend` adds one full block.
class BlockChain {
 public:
  explicit BlockChain(const BlockScope& scope);
  /// The id of the next block. Pre: `tokens` is exactly one block.
  BlockId extend(std::span<const TokenId> tokens);

 private:
  Sha256 hasher_;
  BlockId parent_;
};

}  // namespace llmd

template <>
struct std::hash<llmd::BlockId> {
  /// The id is a digest already: its first bytes are as good as any hash.
  std::size_t operator()(const llmd::BlockId& id) const noexcept {
    std::size_t value = 0;
    std::memcpy(&value, id.bytes.data(), sizeof value);
    return value;
  }
};
