#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "api/openai/answer.h"
#include "apps/worker/generation.h"
#include "apps/worker/service.h"
#include "engine/engine.h"

namespace llmd::worker {

/// Turns the events of a request's sequences into its answer, streamed or whole. One object a request; the events of a
/// sequence come in order.
class AnswerBuilder {
 public:
  virtual ~AnswerBuilder() = default;
  /// Streamed: appends the server-sent events that this one makes, at most one token's text each.
  virtual void append_events(std::size_t index, SequenceEvent&& event, std::string& out) = 0;
  /// Streamed: what stands behind the last event of the last sequence.
  virtual void append_end(std::string& out, const openai::Usage& usage) = 0;
  /// Streamed: what ends the answer instead, if something failed.
  virtual void append_error(std::string& out, const Error& error) = 0;
  /// Whole: keeps the event's part, until the JSON is asked for.
  virtual void collect(std::size_t index, SequenceEvent&& event) = 0;
  /// `kv_transfer`: where the prompts' blocks are kept for another worker; null if they are not.
  [[nodiscard]] virtual std::string whole(const openai::Usage& usage, const openai::KvTransferParams* kv_transfer) = 0;
};

/// How the answer is to be sent, and what its accounting needs.
struct AnswerPlan {
  std::size_t choices_per_prompt = 1;  // sequences of one prompt stand together; its tokens count once
  bool drop_output = false;            // an echo alone: what was generated does not count
  std::uint32_t max_tokens = 0;
  /// Whole answers: called once all sequences have finished.
  std::function<const openai::KvTransferParams*()> keep_blocks;
};

/// Sends the answer of a generation whose sequences are submitted, and measures it. Errors before the first event are
/// whole error answers; later ones end the stream without [DONE].
[[nodiscard]] Task<void> stream_answer(Service& service, Call& call, Generation& generation, AnswerBuilder& builder,
                                       AnswerPlan plan);
[[nodiscard]] Task<void> whole_answer(Service& service, Call& call, Generation& generation, AnswerBuilder& builder,
                                      AnswerPlan plan);

/// The error of an event that ends a sequence badly, if it does.
[[nodiscard]] std::optional<Error> failure_of(const SequenceEvent& event);

}  // namespace llmd::worker
