#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"

namespace llmd::openai {

/// A prompt as text or as token ids. Ids are not negative; whether the vocabulary has them is the engine's question.
using TokenPrompt = std::variant<std::string, std::vector<TokenId>>;

}  // namespace llmd::openai
