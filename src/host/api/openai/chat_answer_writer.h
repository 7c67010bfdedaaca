#pragma once

#include <memory>
#include <span>
#include <string>

#include "api/openai/chat_answer.h"
#include "base/error.h"

namespace llmd::openai {

/// Writes the answer to one chat request, in the API in which the client asked: as a stream, by append_chunk() for each
/// piece and then either end, or whole. One object an answer; not thread-safe.
class ChatAnswerWriter {
 public:
  virtual ~ChatAnswerWriter() = default;
  /// Appends the events that this piece makes.
  virtual void append_chunk(std::string& out, const ChatChunk& chunk) = 0;
  /// Appends what stands behind the last piece.
  virtual void append_end(std::string& out, const Usage& usage) = 0;
  /// Appends what ends a stream that was not completed, maybe the first events with it.
  virtual void append_error(std::string& out, const Error& error) = 0;
  /// Appends the JSON of an answer that is no stream. APIs with one choice write the first.
  virtual void append_whole(std::string& out, std::span<const ChatChoice> choices, const Usage& usage,
                            const KvTransferParams* kv_transfer) = 0;
};

/// OpenAI's chat completions. `include_usage`: stream_options.include_usage.
[[nodiscard]] std::unique_ptr<ChatAnswerWriter> make_chat_writer(AnswerHead head, bool include_usage);

}  // namespace llmd::openai
