#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "model/endpoint.h"

namespace llmd::pool {

/// What one scrape of an engine's /metrics says. A field without value was not on the page, or was not a number.
struct EngineReadings {
  std::optional<std::uint32_t> waiting_requests;
  std::optional<std::uint32_t> running_requests;
  std::optional<float> kv_usage;  // 0..1
  std::optional<std::uint32_t> kv_block_tokens;
  std::optional<std::uint64_t> kv_blocks;
  std::shared_ptr<const LoraState> lora{};  // null: no adapters on the page
  // Of workers of ours only.
  std::optional<float> queued_tokens{};
  std::optional<float> decode_tokens_left{};
  std::optional<float> cpu_use{};     // 0..1
  std::optional<float> memory_use{};  // 0..1
  // Counters since the engine's start.
  std::optional<double> prompt_tokens;
  std::optional<double> generation_tokens;
  std::optional<double> prefix_query_tokens;
  std::optional<double> prefix_hit_tokens;
};

/// Reads a Prometheus text page piece by piece, as it comes off the socket, and keeps only the few series above. Knows
/// the names of vLLM, SGLang and TensorRT-LLM, which do not overlap, so nothing has to be told which engine it is. Of
/// several series of a name the one with the latest timestamp counts, the first if none has one (as in llm-d). Bounded:
/// holds at most one line (kLineBytesMax; longer ones are skipped), reads at most kPageBytesMax. The page comes from
/// another process and is not trusted: any bytes are accepted, and what is not understood is skipped.
/// One object a page; not thread-safe; no allocation beyond one line.
class EngineMetricsParser {
 public:
  static constexpr std::size_t kLineBytesMax = 16 * 1024;
  static constexpr std::size_t kPageBytesMax = 16 * 1024 * 1024;

  /// Error kBodyTooLarge beyond kPageBytesMax; readings so far stay valid.
  [[nodiscard]] Result<void> feed(std::string_view bytes);
  /// The end of the page: a last line without newline counts. Returns what was found.
  [[nodiscard]] EngineReadings finish();

 private:
  enum class Field : std::uint8_t;
  struct Name;
  static const Name kNames[];

  void line(std::string_view text);
  void sample(const Name& name, std::string_view labels, double value, std::int64_t timestamp);
  [[nodiscard]] bool newer(std::size_t slot, std::int64_t timestamp) noexcept;

  static constexpr std::size_t kSlots = 6;
  EngineReadings readings_;
  std::optional<std::int64_t> taken_at_[kSlots];  // a field: the timestamp of the series that counts
  std::string partial_;
  std::size_t bytes_ = 0;
  bool skipping_ = false;  // inside a line longer than kLineBytesMax
};

}  // namespace llmd::pool
