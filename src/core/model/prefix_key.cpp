#include "model/prefix_key.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "base/hash.h"

namespace llmd {

PrefixKey make_prefix_key(std::span<const TokenId> tokens, const PrefixKeyOptions& options) {
  PrefixKey key{.hashes = {}, .block_tokens = options.block_tokens, .whole_blocks = false};
  std::string root{options.model};
  root += options.cache_salt;
  std::uint64_t previous = xxh64(root);
  const std::size_t blocks =
      std::min<std::size_t>(options.blocks_max, (tokens.size() + options.block_tokens - 1) / options.block_tokens);
  key.hashes.reserve(blocks);
  for (std::size_t i = 0; i < blocks; ++i) {
    const std::size_t begin = i * options.block_tokens;
    const auto block = tokens.subspan(begin, std::min<std::size_t>(options.block_tokens, tokens.size() - begin));
    const std::array<std::uint64_t, 2> link{xxh64(std::as_bytes(block)), previous};
    previous = xxh64(std::as_bytes(std::span{link}));
    key.hashes.push_back(previous);
  }
  return key;
}

PrefixKey make_block_key(const BlockScope& scope, std::span<const TokenId> tokens, std::uint32_t block_tokens,
                         std::uint32_t blocks_max) {
  PrefixKey key{.hashes = {}, .block_tokens = block_tokens, .whole_blocks = true};
  const std::size_t blocks = std::min<std::size_t>(blocks_max, tokens.size() / block_tokens);
  const std::vector<BlockId> ids = block_chain(scope, tokens.first(blocks * block_tokens), block_tokens);
  key.hashes.reserve(ids.size());
  for (const BlockId& id : ids) key.hashes.push_back(std::hash<BlockId>{}(id));
  return key;
}

std::vector<TokenId> estimate_tokens(std::string_view prompt) {
  std::vector<TokenId> tokens((prompt.size() + 3) / 4, 0);
  if (!prompt.empty()) std::memcpy(tokens.data(), prompt.data(), prompt.size());
  return tokens;
}

}  // namespace llmd
