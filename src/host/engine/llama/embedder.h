#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "base/error.h"
#include "engine/llama/event_batch.h"
#include "engine/llama/sequence.h"
#include "llamacpp/context.h"

namespace llmd::engine {

/// Pooled embeddings of whole prompts, one prompt a step, in a context of its own: pooling needs all rows of a prompt
/// in one piece. Vectors are scaled to length 1. Engine's thread.
class Embedder {
 public:
  /// Longest prompt: the attention scores of a whole prompt are computed at once.
  static constexpr std::uint32_t kTokensMax = 2'048;

  explicit Embedder(std::unique_ptr<llamacpp::Context> context) : context_{std::move(context)} {}

  void add(std::unique_ptr<Sequence> sequence) { waiting_.push_back(std::move(sequence)); }
  /// The sequence if it waits here; it is forgotten.
  [[nodiscard]] std::unique_ptr<Sequence> take(SequenceId id);
  [[nodiscard]] std::unique_ptr<Sequence> take_any();
  [[nodiscard]] bool empty() const noexcept { return waiting_.empty(); }
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(waiting_.size()); }

  /// Computes the next prompt and adds its finishing event. Returns the sequence, which is done. Pre: !empty().
  std::unique_ptr<Sequence> step(EventBatch& events);

 private:
  [[nodiscard]] Result<std::vector<float>> compute(const Sequence& sequence);
  std::unique_ptr<llamacpp::Context> context_;
  std::deque<std::unique_ptr<Sequence>> waiting_;
};

}  // namespace llmd::engine
