#pragma once

#include <string>

#include "api/openai/tokenize_request.h"
#include "base/error.h"
#include "tokenizer/prepare.h"

namespace llmd {

/// The whole answer to /tokenize as JSON. Not bound by the context: counting the tokens of a long text is what the call
/// is for. Errors as prepare_chat().
[[nodiscard]] Result<std::string> tokenize(const PromptContext& context, const openai::TokenizeRequest& request);

/// The whole answer to /detokenize. Errors as prepare_prompts().
[[nodiscard]] Result<std::string> detokenize(const PromptContext& context, const openai::DetokenizeRequest& request);

}  // namespace llmd
