#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "simulation/policies/active_prompts.h"
#include "simulation/policies/block_holders.h"
#include "simulation/policies/candidates.h"

namespace llmd::simulation {

/// NVIDIA Dynamo's KV router (ai-dynamo/dynamo, lib/kv-router): the cost function of DefaultWorkerSelector in
/// src/scheduling/selector.rs, commit 01690d42e3b9436ab3a6a365fc9beabf58c105c6. The lowest cost wins:
///
///   prefill_load_scale * max(0, (active_prefill_tokens + prompt_tokens) / block_tokens - overlap_score_credit *
///   overlap)
///     + active_blocks + new_blocks
///
/// overlap: of the prompt's first blocks those that the worker holds, from its KV events. active_prefill_tokens: prompt
/// tokens not cached of requests there that have no first token yet. active_blocks, new_blocks: different prompt blocks
/// of the requests under way there, and those of this prompt that are not among them (src/sequences/
/// prompt_registry.rs, commit 312d3427). prefill_load_scale is what was overlap_score_weight.
///
/// Defaults are KvRouterConfig's (src/scheduling/config.rs, commit 0243c51b). Terms that are 0 by default are left out:
/// decay of the credit, active requests, shared cache, host and disk tiers. So is the router's own queue, which holds
/// requests back only once all workers have 16 times their largest batch of prompt tokens (router_queue_threshold).
/// active_prefill_tokens are read from the live counters, which count prompt tokens until the first token.
class DynamoCostPolicy final : public Policy {
 public:
  struct Options {
    double overlap_score_credit = 1.0;  // 0..1
    double prefill_load_scale = 1.0;
    /// 0: the least cost, ties at random. Else by chance, with weight exp(-cost / (temperature * (most - least))).
    double router_temperature = 0.0;
  };
  /// Of one worker and one request.
  struct Terms {
    std::uint64_t active_prefill_tokens = 0;
    std::uint32_t prompt_tokens = 0;
    std::uint32_t block_tokens = 1;
    std::uint32_t overlap_blocks = 0;
    std::uint64_t active_blocks = 0;
    std::uint32_t new_blocks = 0;
  };
  [[nodiscard]] static double cost(const Terms& terms, const Options& options) noexcept;

  explicit DynamoCostPolicy(Options options) : options_{options} {}

  [[nodiscard]] PolicyChoice choose(const PolicyInput& input) override;
  void sent(const PolicyInput& input, const PolicyChoice& choice) override;
  void finished(const PolicyOutcome& outcome, TimePoint now) override;
  void block_stored(std::uint32_t endpoint, std::uint64_t block) override { index_.add(block, endpoint); }
  void block_removed(std::uint32_t endpoint, std::uint64_t block) override { index_.remove(block, endpoint); }
  void endpoint_lost(std::uint32_t endpoint) override;
  [[nodiscard]] bool wants_block_events() const noexcept override { return true; }

 private:
  /// Fills costs_, one a candidate.
  void price(const PolicyInput& input, std::span<const std::uint32_t> places);
  [[nodiscard]] std::uint32_t sample(std::span<const std::uint32_t> places, Rng& rng);

  Options options_;
  BlockHolders index_;
  ActivePrompts active_;
  Candidates candidates_;
  // Of one choice.
  std::vector<std::uint32_t> overlaps_;  // by place
  std::vector<std::uint32_t> shared_;    // by place: first blocks that are under way there
  std::vector<double> costs_;            // by candidate
};

}  // namespace llmd::simulation
