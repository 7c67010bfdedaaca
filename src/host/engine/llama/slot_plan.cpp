#include "engine/llama/slot_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/mebibytes.h"

namespace llmd::engine {
namespace {

constexpr std::uint32_t kShortMax = 1'024;
constexpr std::uint32_t kMediumTokens = 1'280;
constexpr std::uint32_t kMediumSlotsWanted = 32;

/// Takes slots from a budget of bytes and of sequences.
class Divider {
 public:
  Divider(const llamacpp::ModelFacts& model, std::uint64_t bytes, std::uint32_t sequences)
      : model_{model}, bytes_{bytes}, sequences_{sequences} {}

  std::uint32_t take(std::uint32_t wanted, std::uint32_t tokens, std::uint64_t bytes_max) {
    const std::uint64_t each = slot_bytes(model_, tokens);
    const std::uint64_t fit = std::min(bytes_, bytes_max) / each;
    const auto taken = static_cast<std::uint32_t>(std::min<std::uint64_t>({wanted, sequences_, fit}));
    bytes_ -= taken * each;
    sequences_ -= taken;
    return taken;
  }
  std::uint32_t take(std::uint32_t wanted, std::uint32_t tokens) { return take(wanted, tokens, bytes_); }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  const llamacpp::ModelFacts& model_;
  std::uint64_t bytes_;
  std::uint32_t sequences_;
};

/// The largest short slot of which 64 fit.
std::uint32_t short_tokens(const llamacpp::ModelFacts& model, std::uint64_t bytes, std::uint32_t slots) {
  std::uint32_t tokens = kShortMax;
  while (tokens > kSlotGrain && slot_bytes(model, tokens) * slots > bytes) tokens -= kSlotGrain;
  return tokens;
}

}  // namespace

std::uint64_t slot_bytes(const llamacpp::ModelFacts& model, std::uint32_t tokens) {
  return std::max<std::uint64_t>(1, model.kv_bytes_per_token * tokens + model.state_bytes_per_slot);
}

std::uint64_t kv_bytes_wanted(const llamacpp::ModelFacts& model, std::uint32_t context_tokens) {
  return slot_bytes(model, context_tokens) + kShortSlots * slot_bytes(model, std::min(context_tokens, 512U)) +
         (context_tokens > kMediumTokens ? kMediumSlotsWanted * slot_bytes(model, kMediumTokens) : 0);
}

Result<std::vector<batching::SlotClass>> plan_slots(const llamacpp::ModelFacts& model, const SlotPlanOptions& options) {
  const std::uint32_t context = options.context_tokens;
  const std::uint64_t bytes = options.kv_bytes == 0 ? kv_bytes_wanted(model, context) : options.kv_bytes;
  const std::uint64_t longest = slot_bytes(model, context);
  if (longest > bytes) {
    const std::uint64_t fits =
        model.kv_bytes_per_token == 0 ? 0 : bytes / model.kv_bytes_per_token / kSlotGrain * kSlotGrain;
    return fail(ErrorCode::kOutOfMemory,
                fmt::format("one sequence of {} tokens needs {} of KV memory; --kv-memory is {}", context,
                            in_mebibytes(longest), in_mebibytes(bytes)),
                fits > 0 ? fmt::format("raise --kv-memory, or lower --context to {}", fits) : "raise --kv-memory");
  }
  const std::uint32_t sequences = std::clamp(options.sequences_max, 1U, kSlotsMax);
  Divider divider{model, bytes, sequences};
  if (context <= kShortMax) return std::vector{batching::SlotClass{divider.take(sequences, context), context}};

  std::uint32_t long_slots = divider.take(1, context);
  const std::uint32_t short_wanted = std::min(kShortSlots, sequences);
  // Above 512 tokens a short slot only takes what slots of medium size do not want.
  const std::uint64_t medium_bytes =
      context > kMediumTokens ? kMediumSlotsWanted * slot_bytes(model, kMediumTokens) : 0;
  const std::uint64_t beside_medium = divider.bytes() - std::min(divider.bytes(), medium_bytes);
  const std::uint32_t tokens =
      std::max(short_tokens(model, beside_medium, short_wanted),
               short_tokens(model, std::min(divider.bytes(), short_wanted * slot_bytes(model, 512)), short_wanted));
  std::uint32_t short_slots = divider.take(short_wanted, tokens);
  std::uint32_t medium_slots = context > kMediumTokens ? divider.take(kMediumSlotsWanted, kMediumTokens) : 0;
  // What is left goes to long and medium ones by halves, and the rest to short ones.
  long_slots += divider.take(sequences, context, divider.bytes() / 2);
  if (context > kMediumTokens) medium_slots += divider.take(sequences, kMediumTokens, divider.bytes() / 2);
  short_slots += divider.take(sequences, tokens);

  std::vector<batching::SlotClass> classes{{short_slots, tokens}, {medium_slots, kMediumTokens}, {long_slots, context}};
  std::erase_if(classes, [](const batching::SlotClass& slot_class) { return slot_class.slots == 0; });
  return classes;
}

std::uint64_t kv_bytes_of(const llamacpp::ModelFacts& model, const std::vector<batching::SlotClass>& classes) {
  std::uint64_t bytes = 0;
  for (const batching::SlotClass& slot_class : classes)
    bytes += slot_class.slots * slot_bytes(model, slot_class.tokens_max);
  return bytes;
}

std::uint32_t chunk_tokens(const llamacpp::ModelFacts& model, std::uint32_t slot_tokens) {
  const std::uint64_t score_bytes = std::uint64_t{slot_tokens} * std::max(1U, model.heads_max) * sizeof(float);
  std::uint32_t chunk = 512;
  while (chunk > 32 && chunk * score_bytes > 96 * kMiB) chunk /= 2;
  return chunk;
}

std::uint64_t compute_bytes_of(const llamacpp::ModelFacts& model, const batching::SlotClass& slot_class) {
  const std::uint64_t chunk = chunk_tokens(model, slot_class.tokens_max);
  const std::uint64_t outputs = std::max(slot_class.slots, kShortSlots);
  const std::uint64_t scores = chunk * slot_class.tokens_max * (model.heads_max * 2ULL + 1) * sizeof(float);
  const std::uint64_t activations = chunk * model.activation_width * 8ULL * sizeof(float);
  const std::uint64_t logits = outputs * model.vocabulary * 2ULL * sizeof(float);
  return scores + activations + logits + 8 * kMiB;
}

}  // namespace llmd::engine
