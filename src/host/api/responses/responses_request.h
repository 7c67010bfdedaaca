#pragma once

#include <string>
#include <string_view>

#include "api/conversion/converted_request.h"
#include "base/error.h"

namespace llmd::responses {

/// The body of POST /v1/responses as a chat completion. Nothing is kept between requests: what refers to an earlier
/// answer (previous_response_id, conversation, item_reference) is refused with kInvalidRequest, and `store` is taken
/// and answered with false. Tools of the API's own servers are refused with kUnsupported. Unknown fields are ignored,
/// null counts as absent; vLLM's fields beyond the API (priority, cache_salt, top_k and the like) pass.
/// Errors: kInvalidJson, kBodyTooLarge, kInvalidRequest and kUnsupported, the last two with `param` as the client named
/// the field.
[[nodiscard]] Result<api::ConvertedRequest> convert_response_request(std::string_view body,
                                                                     const api::ConversionOptions& options = {});

/// For who passes requests on as they are: error kInvalidRequest if one refers to an earlier answer, which no endpoint
/// behind a router would find again. May grow the body's capacity, never its size.
[[nodiscard]] Result<void> check_stateless(std::string& body);

}  // namespace llmd::responses
