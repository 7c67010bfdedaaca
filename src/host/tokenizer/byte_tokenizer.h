#pragma once

#include <memory>

#include "tokenizer/tokenizer.h"

namespace llmd {

/// Tokens without a model, for simulated engines: four bytes of ASCII, or three of other text, are one token, and a
/// line's end ends one. So text has about as many tokens as llm-d's estimate says, and a chat that goes on with a
/// simulated answer (which is whole tokens on a line of its own) begins with the very tokens of that answer.
/// Reversible: an id holds its bytes. A chat is plain_chat(); schemas, grammars and forced tool calls are refused
/// (kUnsupported).
[[nodiscard]] std::shared_ptr<const Tokenizer> make_byte_tokenizer();

}  // namespace llmd
