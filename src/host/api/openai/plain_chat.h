#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace llmd::openai {

/// A chat as text where there is no template: of each message its role and its text, a line each. `messages_json` as in
/// ChatPrompt. Error kInvalidJson.
[[nodiscard]] Result<std::string> plain_chat(std::string_view messages_json);

}  // namespace llmd::openai
