#pragma once

#include "api/openai/field.h"
#include "api/openai/generation_request.h"

namespace llmd::openai {

/// Internal: the ways to constrain output. Each returns an empty constraint for "text". Forms that llama.cpp's grammars
/// cannot express are refused with kUnsupported instead of being ignored, because the client relies on the constraint.
[[nodiscard]] Result<OutputConstraint> read_response_format(std::string_view field, Element value);
/// vLLM's `structured_outputs`: {json | grammar | choice | json_object}.
[[nodiscard]] Result<OutputConstraint> read_structured_outputs(std::string_view field, Element value);
/// vLLM's older `guided_json`, `guided_grammar`, `guided_choice`.
[[nodiscard]] Result<OutputConstraint> read_guided_json(std::string_view field, Element value);
[[nodiscard]] Result<OutputConstraint> read_guided_grammar(std::string_view field, Element value);
[[nodiscard]] Result<OutputConstraint> read_guided_choice(std::string_view field, Element value);

}  // namespace llmd::openai
