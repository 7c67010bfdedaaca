#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "model/block_id.h"

namespace llmd {

/// The chain of 64-bit block hashes of a prompt: a routing hint that says which prompts share a prefix. It never names
/// stored KV (that is BlockId). Chain as in llm-d's approximate producer (scheduling spec 3.5): xxHash64, seed 0,
/// root = H(model ++ salt), block = H(tokens as little-endian u32), link = H(LE64(block) ++ LE64(previous link)).
struct PrefixKey {
  std::vector<std::uint64_t> hashes;  // one a block, the last partial block counts unless `whole_blocks`
  std::uint32_t block_tokens = 0;
  bool whole_blocks = false;  // made by make_block_key()
};

struct PrefixKeyOptions {
  std::string_view model;
  std::string_view cache_salt{};
  std::uint32_t block_tokens = 64;
  std::uint32_t blocks_max = 2048;
};

/// Over token ids. Pre: options.block_tokens > 0.
[[nodiscard]] PrefixKey make_prefix_key(std::span<const TokenId> tokens, const PrefixKeyOptions& options);

/// The first 8 bytes of the very BlockIds under which workers of ours keep the prompt's whole blocks. Pre:
/// block_tokens > 0. About 10 ns a token.
[[nodiscard]] PrefixKey make_block_key(const BlockScope& scope, std::span<const TokenId> tokens,
                                       std::uint32_t block_tokens, std::uint32_t blocks_max);

/// llm-d's estimate when the tokenizer is unknown: the raw prompt bytes, four to a token id, zero-padded.
[[nodiscard]] std::vector<TokenId> estimate_tokens(std::string_view prompt);

}  // namespace llmd
