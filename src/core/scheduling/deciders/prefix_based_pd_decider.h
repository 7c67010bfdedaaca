#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// A prefill leg pays when much of the prompt is not cached on the decode endpoint: at least `prompt_tokens_min` tokens
/// in all, and `uncached_tokens_min` of them uncached. As in llm-d, an uncached_tokens_min of 0 means never.
class PrefixBasedPdDecider final : public Decider {
 public:
  static const PluginSpec kSpec;
  struct Options {
    std::uint32_t uncached_tokens_min = 0;
    std::uint32_t prompt_tokens_min = 0;
  };
  explicit PrefixBasedPdDecider(Options options) noexcept : options_{options} {}
  [[nodiscard]] StageDecision decide(const StageFacts& facts) const noexcept override;

 private:
  Options options_;
};

}  // namespace llmd::scheduling
