#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "batching/batch_scheduler.h"
#include "llamacpp/model_facts.h"

namespace llmd::engine {

struct SlotPlanOptions {
  std::uint64_t kv_bytes = 0;         // 0: kv_bytes_wanted()
  std::uint32_t context_tokens = 0;   // longest prompt + output; a multiple of kSlotGrain
  std::uint32_t sequences_max = 256;  // slots of all classes together
};

/// llama.cpp rounds a stream up to this.
inline constexpr std::uint32_t kSlotGrain = 256;
inline constexpr std::uint32_t kShortSlots = 64;
/// llama.cpp's bound on streams of one context.
inline constexpr std::uint32_t kSlotsMax = 256;

/// Bytes of KV that one slot takes.
[[nodiscard]] std::uint64_t slot_bytes(const llamacpp::ModelFacts& model, std::uint32_t tokens);

/// The KV memory that serves 64 short sequences, 32 of 1,280 tokens and one of the whole context at once.
[[nodiscard]] std::uint64_t kv_bytes_wanted(const llamacpp::ModelFacts& model, std::uint32_t context_tokens);

/// Divides KV memory into classes of slots: one slot of the whole context first, then up to 64 short ones, as long as
/// the memory allows (1,024 to 256 tokens), then slots of 1,280 tokens, then more long and short ones. Classes are in
/// order of size. Pure. Error kOutOfMemory, with the numbers: not even one slot of the context fits.
[[nodiscard]] Result<std::vector<batching::SlotClass>> plan_slots(const llamacpp::ModelFacts& model,
                                                                  const SlotPlanOptions& options);

/// Bytes of KV that the classes take.
[[nodiscard]] std::uint64_t kv_bytes_of(const llamacpp::ModelFacts& model,
                                        const std::vector<batching::SlotClass>& classes);

/// Rows computed at once in slots of this size: 512, less where the attention scores (rows x slot tokens x heads x 4
/// bytes) would go beyond 96 MiB; at least 32.
[[nodiscard]] std::uint32_t chunk_tokens(const llamacpp::ModelFacts& model, std::uint32_t slot_tokens);

/// An estimate, from above, of the compute buffers of a class.
[[nodiscard]] std::uint64_t compute_bytes_of(const llamacpp::ModelFacts& model, const batching::SlotClass& slot_class);

}  // namespace llmd::engine
