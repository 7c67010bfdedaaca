#include "engine/llama/embedder.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace llmd::engine {

std::unique_ptr<Sequence> Embedder::take(SequenceId id) {
  const auto found =
      std::find_if(waiting_.begin(), waiting_.end(), [&](const auto& sequence) { return sequence->id == id; });
  if (found == waiting_.end()) return nullptr;
  std::unique_ptr<Sequence> sequence = std::move(*found);
  waiting_.erase(found);
  return sequence;
}

std::unique_ptr<Sequence> Embedder::take_any() { return waiting_.empty() ? nullptr : take(waiting_.front()->id); }

std::unique_ptr<Sequence> Embedder::step(EventBatch& events) {
  std::unique_ptr<Sequence> sequence = take_any();
  sequence->times.scheduled = SteadyClock::now();
  auto vector = compute(*sequence);
  if (vector) sequence->token_came(SteadyClock::now());
  SequenceEvent event{.sequence = sequence->id, .usage = sequence->usage, .times = sequence->times};
  if (vector) {
    event.embedding = std::move(*vector);
    event.finish = FinishReason::kStop;
  } else {
    event.finish = FinishReason::kError;
    event.error = std::move(vector.error());
  }
  events.add(sequence->sink, std::move(event));
  return sequence;
}

Result<std::vector<float>> Embedder::compute(const Sequence& sequence) {
  std::vector<llamacpp::BatchRow> rows;
  for (const TokenId token : sequence.tokens) {
    rows.push_back({.token = token, .position = static_cast<std::uint32_t>(rows.size()), .slot = 0, .output = true});
  }
  context_->clear(0);
  LLMD_TRY_VOID(context_->decode(rows));
  std::vector<float> vector = context_->embedding(0);
  double square = 0;
  for (const float value : vector) square += static_cast<double>(value) * static_cast<double>(value);
  if (!(square > 0)) return fail(ErrorCode::kInternal, "the model gave no embedding");
  const auto scale = static_cast<float>(1 / std::sqrt(square));
  for (float& value : vector) value *= scale;
  return vector;
}

}  // namespace llmd::engine
