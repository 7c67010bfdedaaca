#pragma once

#include <string>

#include "api/conversion/chat_message_list.h"
#include "api/openai/field.h"

namespace llmd::responses {

/// Internal: one entry of `input` as messages of a chat. `field` is "input[3]". `text_only`: images are refused.
struct ItemOptions {
  bool text_only = false;
};
[[nodiscard]] Result<void> convert_item(const std::string& field, openai::Element value, const ItemOptions& options,
                                        api::ChatMessageList& out);

}  // namespace llmd::responses
