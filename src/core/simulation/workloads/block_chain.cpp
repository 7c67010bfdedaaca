#include "simulation/workloads/block_chain.h"

#include <algorithm>

#include "simulation/workload.h"

namespace llmd::simulation {

BlockChain::BlockChain(std::uint32_t block_tokens) noexcept : block_tokens_{std::max(block_tokens, 1U)} {}

void BlockChain::append(Text text) {
  blocks_.reserve(static_cast<std::size_t>((tokens_ + text.tokens) / block_tokens_));
  for (std::uint32_t first = 0; first < text.tokens;) {
    const std::uint32_t count = std::min(block_tokens_ - filled_, text.tokens - first);
    name_ = chain_block(name_, chain_block(text.id, (std::uint64_t{first} << 32) | count));
    first += count;
    filled_ += count;
    if (filled_ == block_tokens_) {
      blocks_.push_back(name_);
      filled_ = 0;
    }
  }
  tokens_ += text.tokens;
}

}  // namespace llmd::simulation
