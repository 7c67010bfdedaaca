#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/openai/chat_answer_writer.h"

namespace llmd::anthropic {

struct MessageHead {
  std::string id;  // "msg_..."
  std::string model;
  std::vector<std::string> stop{};  // the client's stop_sequences: only those are named as the reason
  std::uint32_t prompt_tokens = 0;  // if they are known before the answer begins, for its first event
};

/// Answers as a Message of Anthropic's API, or as its stream: message_start, ping, blocks one after the other,
/// message_delta with the reason and all counts, message_stop. A tool's arguments that come late, behind the begin of
/// another block, still go out under the index of their own.
[[nodiscard]] std::unique_ptr<openai::ChatAnswerWriter> make_message_writer(MessageHead head);

/// The answer to count_tokens.
void append_token_count(std::string& out, std::uint32_t tokens);

}  // namespace llmd::anthropic
