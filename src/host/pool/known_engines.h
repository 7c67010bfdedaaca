#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace llmd::pool {

/// What of an endpoint a series tells.
enum class EngineField : std::uint8_t {
  kWaiting,      // requests that are queued at the engine
  kRunning,      // requests
  kKvUsage,      // 0..1
  kCacheInfo,    // block size and count are labels of one series
  kBlockTokens,  // tokens a KV block
  kBlocks,       // KV blocks in all
  kLora,         // the adapters are labels, and the value is when they were so
  kQueuedTokens,
  kDecodeTokensLeft,
  kCpuUse,     // 0..1
  kMemoryUse,  // 0..1
  // Counters since the engine's start.
  kPromptTokens,
  kGenerationTokens,
  kPrefixQueries,
  kPrefixHits,
  kOldPrefixQueries,  // under a name that gave way to the one above; counts if that one is not there
  kOldPrefixHits,
  kNamed,  // as a configuration names it
};
inline constexpr std::size_t kEngineFields = 18;

/// The counters of several engines behind one page (data parallel) add up.
[[nodiscard]] constexpr bool is_counter(EngineField field) noexcept {
  return field >= EngineField::kPromptTokens && field <= EngineField::kOldPrefixHits;
}

/// One series of an engine that is known without a configuration.
struct KnownSeries {
  EngineField field;
  std::string_view spec;  // name{label=value,...}
  bool adds_up = false;   // all its series count, as those of counters do
};

struct KnownEngine {
  std::string_view name;  // as the label says it
  std::span<const KnownSeries> series{};
  std::string_view block_tokens_label{};  // of kCacheInfo
  std::string_view blocks_label{};
};

/// Whose pages are understood. The first five are llm-d's, by its names and with its series; where a page has several
/// engines' names, the earlier one wins if both say equally much.
[[nodiscard]] std::span<const KnownEngine> known_engines() noexcept;

/// An engine without a page of metrics: asked for the models that it has loaded.
inline constexpr std::string_view kOllama = "ollama";

}  // namespace llmd::pool
