#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace llmd::dispatch {

/// Whether requests to this path generate text, so that they may be streamed, and split into a prefill and a decode
/// leg.
[[nodiscard]] bool generates(std::string_view path) noexcept;
/// Whether a stream of this path's tells its token counts only if it is asked to, by stream_options.
[[nodiscard]] bool asks_for_usage(std::string_view path) noexcept;

/// The decode leg's body, made with what the prefill endpoint answered. Errors: kProtocol (the answer is no JSON
/// object, or its transfer parameters are not usable), kInvalidJson, kInvalidRequest (of `body`).
[[nodiscard]] Result<std::string> decode_body(std::string_view body, std::string prefill_answer);

}  // namespace llmd::dispatch
