#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai/answer.h"

namespace llmd::openai {

/// One finished choice of a chat completion.
struct ChatChoice {
  std::string content;
  std::string reasoning;  // empty: left out
  std::vector<ToolCallAnswer> tool_calls;
  std::optional<std::vector<TokenLogprobs>> logprobs;
  std::string_view finish_reason;
  std::optional<std::string> stop_reason;  // the stop string that ended it
};

/// Appends a `chat.completion` object.
void append_chat_completion(std::string& out, const AnswerHead& head, std::span<const ChatChoice> choices,
                            const Usage& usage, const KvTransferParams* kv_transfer = nullptr);

/// What one chunk adds to one choice. Empty members are left out of the delta.
struct ChatChunk {
  std::uint32_t index = 0;
  bool role = false;  // the choice's first chunk
  std::string_view content;
  std::string_view reasoning;
  struct ToolCallDelta {
    std::size_t index = 0;
    std::string_view id;    // with the first delta of a call
    std::string_view name;  // the same
    std::string_view arguments;
  };
  std::vector<ToolCallDelta> tool_calls;
  std::span<const TokenLogprobs> logprobs;  // empty: null
  std::string_view finish_reason;           // empty: null
  std::string_view stop_reason;             // empty: left out
};

/// Writes the events of one streamed chat completion. The part that all chunks share is made once.
class ChatStreamWriter {
 public:
  ChatStreamWriter(const AnswerHead& head, bool include_usage);
  /// Appends one event.
  void append_chunk(std::string& out, const ChatChunk& chunk) const;
  /// Appends the event with no choices that stream_options.include_usage asks for.
  void append_usage_chunk(std::string& out, const Usage& usage) const;

 private:
  std::string head_;  // "data: {...,"choices":["
  bool include_usage_;
};

}  // namespace llmd::openai
