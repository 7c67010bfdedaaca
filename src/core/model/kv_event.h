#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"

namespace llmd {

/// Consecutive blocks of one chain that an engine's prefix cache took up. Named as in PrefixKey of make_block_key():
/// the first 8 bytes of their BlockIds, little-endian.
struct BlocksStored {
  std::vector<std::uint64_t> blocks;
  std::optional<std::uint64_t> parent{};  // of the first one; none: it begins a chain
  std::vector<TokenId> tokens{};          // of all of them: blocks.size() * block_tokens
  std::uint32_t block_tokens = 0;
  std::string cache_salt{};  // that the chain began with
  friend bool operator==(const BlocksStored&, const BlocksStored&) = default;
};

/// A block that it gave up.
struct BlockRemoved {
  std::uint64_t block = 0;
  friend bool operator==(const BlockRemoved&, const BlockRemoved&) = default;
};

/// It gave up all that it had.
struct BlocksCleared {
  friend bool operator==(const BlocksCleared&, const BlocksCleared&) = default;
};

using KvEvent = std::variant<BlocksStored, BlockRemoved, BlocksCleared>;

/// Hears what happens to an engine's prefix cache.
class KvEventSink {
 public:
  virtual ~KvEventSink() = default;
  /// What one step changed, in order; not empty. Called on the engine's thread: must not block.
  virtual void on_kv_events(std::vector<KvEvent>&& events) noexcept = 0;
};

}  // namespace llmd
