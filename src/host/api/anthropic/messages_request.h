#pragma once

#include <string_view>

#include "api/conversion/converted_request.h"
#include "base/error.h"

namespace llmd::anthropic {

/// The body of POST /v1/messages or /v1/messages/count_tokens as a chat completion. What the API's own servers would
/// do (their tools, files, containers) is refused; unknown fields are ignored, null counts as absent. An answer that
/// the client has begun (a last message of the assistant's) is continued, by vLLM's continue_final_message. vLLM's
/// fields beyond the API (priority, cache_salt, seed, min_p and the like) pass.
/// Errors: kInvalidJson, kBodyTooLarge, kInvalidRequest and kUnsupported, the last two with `param` as the client named
/// the field.
[[nodiscard]] Result<api::ConvertedRequest> convert_messages(std::string_view body,
                                                             const api::ConversionOptions& options = {});

}  // namespace llmd::anthropic
