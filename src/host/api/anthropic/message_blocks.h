#pragma once

#include <string>
#include <string_view>

#include "api/conversion/chat_message_list.h"
#include "api/openai/field.h"

namespace llmd::anthropic {

struct BlockOptions {
  bool text_only = false;
};

/// Internal: one entry of `messages` as messages of a chat. `field` is "messages[3]".
[[nodiscard]] Result<void> convert_message(const std::string& field, openai::Element value, const BlockOptions& options,
                                           api::ChatMessageList& out);

/// Internal: `system`, a string or a list of text blocks, as one text. Claude Code's block of accounting, which differs
/// in each request and would make every prompt a new one, is left out.
[[nodiscard]] Result<std::string> system_text(std::string_view field, openai::Element value);

}  // namespace llmd::anthropic
