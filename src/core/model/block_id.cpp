#include "model/block_id.h"

namespace llmd {
namespace {

// A length before each string, so that no two scopes serialise alike.
void update_with_length(Sha256& hasher, std::string_view text) {
  const auto size = static_cast<std::uint64_t>(text.size());
  hasher.update(std::as_bytes(std::span{&size, 1})).update(text);
}

}  // namespace

BlockChain::BlockChain(const BlockScope& scope) {
  hasher_.update("llmd-block-v1").update(std::as_bytes(std::span{scope.model_fingerprint}));
  update_with_length(hasher_, scope.adapter);
  update_with_length(hasher_, scope.tenant_salt);
  parent_.bytes = hasher_.finish();
}

BlockId BlockChain::extend(std::span<const TokenId> tokens) {
  hasher_.update(std::as_bytes(std::span{parent_.bytes})).update(std::as_bytes(tokens));
  parent_.bytes = hasher_.finish();
  return parent_;
}

std::vector<BlockId> block_chain(const BlockScope& scope, std::span<const TokenId> tokens, std::size_t block_tokens) {
  BlockChain chain{scope};
  std::vector<BlockId> ids;
  ids.reserve(tokens.size() / block_tokens);
  for (std::size_t begin = 0; begin + block_tokens <= tokens.size(); begin += block_tokens) {
    ids.push_back(chain.extend(tokens.subspan(begin, block_tokens)));
  }
  return ids;
}

}  // namespace llmd
