#pragma once

#include <optional>
#include <string>

#include "api/openai/field.h"

namespace llmd::openai {

/// One checked message, written again with the fields that chat templates know.
struct ChatMessage {
  std::string json;
  std::string role;
  std::optional<std::string> text;  // the content, if it is a string or one text part
};

/// Internal: `field` is "messages[3]". Parts other than text are refused with kUnsupported.
[[nodiscard]] Result<ChatMessage> read_chat_message(std::string_view field, Element value);

}  // namespace llmd::openai
