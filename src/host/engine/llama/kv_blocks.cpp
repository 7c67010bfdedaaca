#include "engine/llama/kv_blocks.h"

#include <algorithm>
#include <optional>

#include "telemetry/log.h"

namespace llmd::engine {
namespace {

/// A store that is too small to keep a chain would be filled over and over.
constexpr std::uint32_t kSaveFailuresMax = 8;

}  // namespace

KvBlocks::KvBlocks(const KvBlocksOptions& options)
    : options_{options},
      budget_{"kv_block_store", options.store_bytes},
      store_{{.block_bytes = options.block_tokens * options.bytes_per_token, .shareable = options.shareable}, budget_} {
}

void KvBlocks::extend_chain(Sequence& sequence) const {
  const std::size_t full = sequence.tokens.size() / options_.block_tokens;
  if (sequence.chain.size() == full) return;
  if (!sequence.chain_end) sequence.chain_end.emplace(scope(sequence.request.cache_salt));
  while (sequence.chain.size() < full) {
    const std::span<const TokenId> tokens{sequence.tokens};
    sequence.chain.push_back(sequence.chain_end->extend(
        tokens.subspan(sequence.chain.size() * options_.block_tokens, options_.block_tokens)));
  }
}

std::uint32_t KvBlocks::restorable_tokens(const Sequence& sequence) {
  return static_cast<std::uint32_t>(store_.match(sequence.chain)) * options_.block_tokens;
}

bool KvBlocks::share_block(const Sequence& a, const Sequence& b, std::uint32_t first) const noexcept {
  const std::size_t block = first / options_.block_tokens;
  return block < a.chain.size() && block < b.chain.size() && a.chain[block] == b.chain[block];
}

void KvBlocks::save(Sequence& sequence, const llamacpp::Context& context, std::uint32_t slot, std::uint32_t computed) {
  extend_chain(sequence);
  const std::size_t full = std::min<std::size_t>(computed / options_.block_tokens, sequence.chain.size());
  while (sequence.saved_blocks < full && sequence.save_failures < kSaveFailuresMax) {
    if (save_block(sequence, context, slot, sequence.saved_blocks)) {
      ++sequence.saved_blocks;
      continue;
    }
    // A parent was evicted, or nothing can be: the next step begins again at the first block that is missing.
    ++sequence.save_failures;
    sequence.saved_blocks = store_.match(std::span{sequence.chain}.first(sequence.saved_blocks));
    return;
  }
}

void KvBlocks::recheck(Sequence& sequence) {
  sequence.saved_blocks =
      store_.match(std::span{sequence.chain}.first(std::min(sequence.saved_blocks, sequence.chain.size())));
  sequence.save_failures = 0;
}

bool KvBlocks::save_block(Sequence& sequence, const llamacpp::Context& context, std::uint32_t slot, std::size_t block) {
  const std::optional<BlockId> parent = block == 0 ? std::nullopt : std::optional{sequence.chain[block - 1]};
  kvstore::Reservation reservation = store_.reserve(sequence.chain[block], parent);
  if (reservation.outcome() == kvstore::PutOutcome::kPresent) return true;
  if (!reservation) return false;
  const auto first = static_cast<std::uint32_t>(block) * options_.block_tokens;
  const auto exported = context.export_tokens(slot, first, options_.block_tokens, reservation.bytes());
  if (!exported) {
    log::warn("{}", exported.error().to_string());
    return false;
  }
  const auto committed = store_.commit(std::move(reservation));
  return committed.outcome == kvstore::PutOutcome::kStored || committed.outcome == kvstore::PutOutcome::kPresent;
}

std::uint32_t KvBlocks::restore(Sequence& sequence, llamacpp::Context& context, std::uint32_t slot,
                                std::uint32_t tokens) {
  const std::size_t wanted = std::min<std::size_t>(tokens / options_.block_tokens, sequence.chain.size());
  const std::vector<kvstore::BlockHandle> handles = store_.get_leading(std::span{sequence.chain}.first(wanted));
  if (handles.empty()) return 0;
  std::vector<std::span<const std::byte>> blocks;
  blocks.reserve(handles.size());
  for (const kvstore::BlockHandle& handle : handles) blocks.push_back(handle.bytes());
  const auto imported = context.import_blocks(slot, blocks, options_.block_tokens);
  if (!imported) {
    log::warn("{}; the prompt is computed instead", imported.error().to_string());
    return 0;
  }
  sequence.saved_blocks = std::max(sequence.saved_blocks, blocks.size());
  return static_cast<std::uint32_t>(blocks.size()) * options_.block_tokens;
}

}  // namespace llmd::engine
