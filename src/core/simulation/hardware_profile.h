#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "batching/batch_scheduler.h"

namespace llmd::simulation {

/// What of an engine the twin must know: how long a step takes, and what it can hold. The time of a step is a sum, so
/// that a few measured steps determine it (llmd sim calibrate); all costs are seconds.
struct HardwareProfile {
  std::string name = "gpu";
  // A step, whatever is in it; each prompt token in it; each prompt token again for a thousand tokens before it; each
  // sequence that decodes; each such sequence again for a thousand tokens of its context.
  double step_s = 0.006;
  double prefill_token_s = 1.0 / 16'000;
  double prefill_token_per_kilotoken_s = 2.0e-7;
  double decode_sequence_s = 3.0e-5;
  double decode_sequence_per_kilotoken_s = 1.0e-5;
  double restore_token_s = 2.0e-7;  // a token of a block that comes from the store
  // Of the host: from the request's arrival until the engine has it, and from a token until the client has it.
  double submit_s = 0.001;
  double stream_s = 0.0005;
  /// Slots, step and chunk sizes, queue, as the worker has them.
  batching::BatchingOptions batching{.classes = {{.slots = 48, .tokens_max = 8'192},
                                                 {.slots = 16, .tokens_max = 32'768},
                                                 {.slots = 2, .tokens_max = 140'000}},
                                     .step_tokens_max = 2'048,
                                     .prefill_chunk_max = 2'048,
                                     .waiting_max = 4'096,
                                     .block_tokens = 64};
  /// Steps are made as our llama engine makes them: prompts come in pieces beside sequences that decode
  /// (batching::StepBudget), step_s is paid whenever llama.cpp waits for the weights, and sequences attend to as much
  /// as the longest in their batch (llama_batches; as if a batch of any class of slots held prefill_chunk_max rows).
  bool llama_steps = false;
  std::uint64_t store_tokens = 500'000;  // the block store's capacity
  double kv_bytes_per_token = 131'072;   // for transfers between endpoints
  double transfer_bytes_per_s = 12.5e9;
  double transfer_latency_s = 0.002;
  double start_s = 30;  // from a process's start until it serves
  /// What endpoints on one machine (FleetOptions::cores) do to each other: a step takes longer by `neighbour_slowdown`
  /// of its time for each other core that is busy (they share memory and cache), and all steps on a core by
  /// `sharing_slowdown`, beyond taking turns, while several are under way there.
  double neighbour_slowdown = 0;
  double sharing_slowdown = 0;

  /// Tokens that a request gets at most: then its slot, of the largest size, is full. 0: it does not fit at all.
  [[nodiscard]] std::uint32_t output_tokens_of(std::uint32_t prompt_tokens, std::uint32_t output_tokens) const noexcept;
  /// Slots that hold so many tokens: the most sequences of that length that share a step.
  [[nodiscard]] std::uint32_t slots_for(std::uint32_t tokens) const noexcept;
  /// Engine time that a request takes for itself without any cache, at a batch of `sequences`: what "always busy" is
  /// measured in.
  [[nodiscard]] double busy_seconds(std::uint32_t prompt_tokens, std::uint32_t output_tokens,
                                    double sequences) const noexcept;
};

}  // namespace llmd::simulation
