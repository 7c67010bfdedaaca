#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "model/kv_event.h"
#include "simulation/engine.h"

namespace llmd::engine {

/// What is known of a request whose blocks were stored.
struct BlockSource {
  std::span<const std::uint64_t> blocks;
  std::span<const TokenId> tokens;  // at least those of the blocks
  std::string_view cache_salt;
};

/// The changes of one step as events: blocks that follow one another in a chain are one event. A change whose request
/// `source_of` does not know is left out.
[[nodiscard]] std::vector<KvEvent> block_events(
    std::span<const simulation::BlockChange> changes, std::uint32_t block_tokens,
    const std::function<std::optional<BlockSource>(std::uint64_t request)>& source_of);

}  // namespace llmd::engine
