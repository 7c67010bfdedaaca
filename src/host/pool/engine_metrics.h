#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/endpoint.h"
#include "pool/exposition_reader.h"
#include "pool/metric_adapter.h"

namespace llmd::pool {

/// A number that a configuration gave a name.
struct NamedValue {
  std::string name;
  float value = 0;
  friend bool operator==(const NamedValue&, const NamedValue&) = default;
};

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
  std::vector<NamedValue> named{};  // sorted by name
};

/// Reads the few series that an adapter wants out of a page as it comes off the socket. Of several series of a name the
/// one with the latest timestamp counts, the first if none has one; of those that name adapters the one with the
/// largest value, which is a time (both as in llm-d). Counters add up. Where the adapter is of several engines, the one
/// counts of which most was found, the preferred one if it is among those. One object a page; not thread-safe;
/// allocates nothing beyond one line but for adapters and attributes that it finds, and the engines beside the first.
class EngineMetricsParser final : private ExpositionReader {
 public:
  using ExpositionReader::kLineBytesMax;
  using ExpositionReader::kPageBytesMax;

  /// `adapter` must outlive it.
  explicit EngineMetricsParser(const MetricAdapter& adapter);

  /// Error kBodyTooLarge beyond kPageBytesMax; readings so far stay valid.
  using ExpositionReader::feed;
  /// The end of the page: a last line without newline counts. Returns what was found.
  [[nodiscard]] EngineReadings finish();
  /// After finish(): whose page it was, as the adapter names it; empty if nothing was found.
  [[nodiscard]] std::string_view engine() const noexcept { return engine_; }

 private:
  /// What is known of one engine, by the series that counts for each field.
  struct Found {
    std::array<std::optional<double>, kEngineFields> values{};
    std::array<std::int64_t, kEngineFields> taken_at{};
    std::optional<double> block_tokens;  // labels of kCacheInfo
    std::optional<double> blocks;
    std::string lora_labels;
    std::vector<std::optional<double>> named{};
    std::vector<std::int64_t> named_at{};
  };

  void on_sample(const Sample& sample) override;
  void take(const MetricAdapter::Target& target, const Sample& sample);
  [[nodiscard]] Found& found(std::size_t engine) noexcept { return engine == 0 ? first_ : others_[engine - 1]; }
  [[nodiscard]] std::size_t choose();

  const MetricAdapter& adapter_;
  Found first_;
  std::vector<Found> others_;
  std::string_view engine_;
};

}  // namespace llmd::pool
