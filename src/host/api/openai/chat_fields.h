#pragma once

#include <cstdint>
#include <string>

#include "api/openai/chat_request.h"
#include "api/openai/field.h"

namespace llmd::openai {

/// Internal: reads the fields of a ChatPrompt, one at a time, then puts the prompt together.
class ChatPromptReader {
 public:
  /// True if the field is one of a chat prompt's. Null counts as absent.
  [[nodiscard]] Result<bool> read(std::string_view field, Element value);
  [[nodiscard]] Result<ChatPrompt> finish();

  // As read, for the rules.
  struct Parts {
    ChatPrompt prompt;
    bool has_messages = false;
    bool has_tool_choice = false;
    bool continue_final_message = false;
    bool add_generation_prompt_given = false;
    std::vector<std::string> messages;  // JSON objects
    std::vector<std::string> tool_names;
    std::string last_role;
    std::optional<std::string> last_text;  // of the last message, if its content is text
  };

 private:
  Parts parts_;
};

}  // namespace llmd::openai
