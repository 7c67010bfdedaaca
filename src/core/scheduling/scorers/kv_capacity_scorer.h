#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints whose KV cache has room for the request: min(1, free / (room_factor * need)) in tokens, where
///   free = kv_blocks * kv_block_tokens * (1 - kv_usage), and
///   need = what of the prompt is probably not cached there + output_tokens_max (`output_tokens` if the client gave
///   none).
/// All with ample room score 1, so the scorer is silent until memory gets tight; one that cannot hold the request alone
/// scores below 1 / room_factor. A factor above 1 leaves room for the sequences that already run there, which grow,
/// too. Cached blocks count as held: engines that count them as free until they are used again are seen a little too
/// roomy.
class KvCapacityScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  struct Options {
    std::uint32_t output_tokens = 512;  // of a request without a limit
    float room_factor = 2.0F;           // how many requests of this size must fit to score 1
  };
  explicit KvCapacityScorer(Options options) noexcept : options_{options} {}
  [[nodiscard]] MetricSet consumes() const noexcept override {
    return MetricSet{Metric::kKvUsage} | Metric::kPrefixMatch;
  }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  [[nodiscard]] double tokens_needed(const PluginInput& input, EndpointIndex i) const noexcept;

  Options options_;
};

}  // namespace llmd::scheduling
