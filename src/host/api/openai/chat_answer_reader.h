#pragma once

#include <optional>
#include <string_view>

#include "api/openai/chat_answer.h"
#include "base/error.h"

namespace llmd::openai {

/// One event of a streamed chat completion, of any engine's. Views are valid until the thread parses another body.
struct ChatEvent {
  std::optional<ChatChunk> chunk;  // of the first choice
  std::optional<Usage> usage;
  std::optional<Error> error;  // the endpoint ended the stream with it
};
/// What is missing or of another type than it should be counts as absent. Errors: kProtocol.
[[nodiscard]] Result<ChatEvent> read_chat_event(std::string_view json);

/// A whole chat completion: its first choice. `finish_reason` is a view as above.
struct ChatAnswer {
  ChatChoice choice;
  Usage usage;
};
/// Errors: kProtocol, if it is no JSON object with a choice that has a message.
[[nodiscard]] Result<ChatAnswer> read_chat_answer(std::string_view json);

/// The count of a /tokenize answer. Error kProtocol.
[[nodiscard]] Result<std::uint32_t> read_token_count(std::string_view json);

/// An error answer in OpenAI's shape as an Error that says the same: the message, param, and the code of ours that is
/// nearest to the status.
[[nodiscard]] Error read_error(int status, std::string_view json);

}  // namespace llmd::openai
