#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "simulation/policies/routed_prefix_tree.h"
#include "simulation/policy.h"

namespace llmd::simulation {

/// sglang's router with `--policy cache_aware`: lightseekorg/smg (it was sgl-project/sglang's sgl-model-gateway),
/// model_gateway/src/policies/cache_aware.rs, commit 73da68ca9472bbc0ff5f63d31a8a21fbb8696359 of 2026-08-07. Of its
/// three forms the approximate one, on tokens and without KV events. The rules:
///
/// 1. Unbalanced, with the most and the fewest requests in flight over the workers that take requests:
///    max - min > balance_abs_threshold and max > balance_rel_threshold * min. Then the shortest queue.
/// 2. Else, if the tree matches more than cache_threshold of the prompt's tokens: the worker that it names. If that one
///    takes no requests, the first that does, and the tree stays as it is.
/// 3. Else the shortest queue.
///
/// Shortest queue: fewest in flight, then fewest chosen so far, then the lowest place. Whoever is chosen by a rule is
/// put into the tree with the prompt. A worker that is gone stays in the tree until it is evicted, as there.
/// What differs: blocks in place of pages of 16 tokens, see RoutedPrefixTree. The triggers on backend KV use are off,
/// as there by default.
class SglangCacheAwarePolicy final : public Policy {
 public:
  /// The defaults of the command line (model_gateway/src/main.rs); the library's own are 0.5, 32, 1.1, 30 s, 10,000.
  struct Options {
    float cache_threshold = 0.3F;              // of the prompt's tokens
    std::uint32_t balance_abs_threshold = 64;  // requests
    float balance_rel_threshold = 1.5F;
    Duration eviction_interval = seconds{120};
    std::uint64_t max_tree_size = 67'108'864;  // tokens a worker
  };
  explicit SglangCacheAwarePolicy(Options options) : options_{options} {}

  /// Choosing and remembering are one step, as there.
  [[nodiscard]] PolicyChoice choose(const PolicyInput& input) override;

  [[nodiscard]] const RoutedPrefixTree& tree() const noexcept { return tree_; }

 private:
  /// What one look at all workers gives.
  struct Survey {
    std::uint32_t first = kNoEndpoint;     // that takes requests
    std::uint32_t shortest = kNoEndpoint;  // queue
    std::uint32_t load_min = 0;            // requests in flight
    std::uint32_t load_max = 0;
  };
  [[nodiscard]] Survey survey(const PolicyInput& input);
  [[nodiscard]] bool unbalanced(const Survey& seen) const noexcept;
  /// kNoEndpoint if the tree names a worker that takes no requests.
  [[nodiscard]] std::uint32_t by_prefix(const PolicyInput& input, const Survey& seen);
  void evict_if_due(const PolicyInput& input);

  Options options_;
  RoutedPrefixTree tree_;
  std::vector<std::uint64_t> chosen_;  // by place: how often
  std::optional<TimePoint> evicted_at_{};
};

}  // namespace llmd::simulation
