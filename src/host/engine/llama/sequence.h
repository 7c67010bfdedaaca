#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "engine/engine.h"
#include "engine/llama/held_logprobs.h"
#include "engine/llama/sampler.h"
#include "engine/llama/text_stream.h"
#include "model/block_id.h"

namespace llmd::engine {

/// One sequence inside the engine. Made by submit() on the caller's thread, then the engine thread's alone.
struct Sequence {
  SequenceId id;
  SequenceRequest request;
  std::shared_ptr<SequenceSink> sink;
  std::uint32_t tokens_max = 0;  // prompt and output

  std::vector<TokenId> tokens;  // prompt, then output
  std::uint32_t computed = 0;   // leading tokens whose KV is in the slot
  std::optional<Sampler> sampler;
  TextStream text;
  HeldLogprobs logprobs;
  SequenceUsage usage;
  SequenceTimes times;

  // Blocks.
  std::optional<BlockChain> chain_end;  // continues `chain`
  std::vector<BlockId> chain;           // of all full blocks of `tokens`
  std::size_t saved_blocks = 0;         // leading ones that are known to be in the store
  std::uint32_t save_failures = 0;

  bool counted_waiting = true;  // against waiting_max, until its first slot
  bool admitted = false;
  std::vector<std::optional<TokenLogprobs>> prompt_logprobs;  // filled as the prompt is computed
  bool prompt_logprobs_sent = false;

  void token_came(TimePoint now) noexcept {
    if (!times.first_token) times.first_token = now;
    times.last_token = now;
  }
  [[nodiscard]] std::uint32_t prompt_tokens() const noexcept {
    return static_cast<std::uint32_t>(request.prompt.size());
  }
  [[nodiscard]] std::uint32_t output_tokens() const noexcept {
    return static_cast<std::uint32_t>(tokens.size()) - prompt_tokens();
  }

  Sequence(SequenceId sequence_id, SequenceRequest&& wanted, std::shared_ptr<SequenceSink>&& to)
      : id{sequence_id}, request{std::move(wanted)}, sink{std::move(to)}, tokens{request.prompt}, text{request.stop} {
    usage.prompt_tokens = prompt_tokens();
    times.queued = SteadyClock::now();
  }
};

}  // namespace llmd::engine
