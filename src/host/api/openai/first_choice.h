#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace llmd::openai {

/// What the first choice of an answer, or of one event of a streamed one, says. Of chat and of completions.
struct FirstChoice {
  bool present = false;
  std::string finish_reason;      // empty: none yet
  std::string text;               // `content` of message or delta, or `text`
  bool has_other_output = false;  // reasoning, tool calls, a refusal, log probabilities: what `text` does not tell
  std::string raw;                // the choice as JSON text
  std::optional<std::uint32_t> prompt_tokens;  // of `usage`
  std::optional<std::uint32_t> completion_tokens;
  std::string raw_prompt_details;  // `prompt_tokens_details` of `usage`, if it is an object
};

/// May grow the capacity of `json`. Errors: kInvalidJson, kInvalidRequest (not an object).
[[nodiscard]] Result<FirstChoice> read_first_choice(std::string& json);

/// The text of a JSON string, whose quotes it has. No value: it is none.
[[nodiscard]] std::optional<std::string> unquoted(std::string_view raw_json);

}  // namespace llmd::openai
