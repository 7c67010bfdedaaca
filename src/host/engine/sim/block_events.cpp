#include "engine/sim/block_events.h"

#include <utility>

namespace llmd::engine {
namespace {

BlocksStored begin_chain(const simulation::BlockChange& change, const BlockSource& source, std::uint32_t block_tokens) {
  BlocksStored stored{.block_tokens = block_tokens, .cache_salt = std::string{source.cache_salt}};
  if (change.index > 0) stored.parent = source.blocks[change.index - 1];
  return stored;
}

}  // namespace

std::vector<KvEvent> block_events(std::span<const simulation::BlockChange> changes, std::uint32_t block_tokens,
                                  const std::function<std::optional<BlockSource>(std::uint64_t request)>& source_of) {
  std::vector<KvEvent> events;
  const simulation::BlockChange* before = nullptr;
  for (const simulation::BlockChange& change : changes) {
    const simulation::BlockChange* const last = std::exchange(before, nullptr);
    if (!change.stored) {
      events.emplace_back(BlockRemoved{.block = change.block});
      continue;
    }
    const std::optional<BlockSource> source = source_of(change.request);
    if (!source) continue;
    const bool goes_on = last != nullptr && last->request == change.request && last->index + 1 == change.index;
    if (!goes_on) events.emplace_back(begin_chain(change, *source, block_tokens));
    auto& stored = std::get<BlocksStored>(events.back());
    const auto tokens = source->tokens.subspan(std::size_t{change.index} * block_tokens, block_tokens);
    stored.blocks.push_back(change.block);
    stored.tokens.insert(stored.tokens.end(), tokens.begin(), tokens.end());
    before = &change;
  }
  return events;
}

}  // namespace llmd::engine
