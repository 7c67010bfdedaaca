#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/openai/error.h"
#include "base/error.h"

namespace llmd::api {

/// Which API a client speaks, by the path of its request.
enum class Dialect : std::uint8_t {
  kOpenAi,       // chat and text completions, and every path that is none of the others
  kMessages,     // Anthropic's /v1/messages
  kCountTokens,  // and /v1/messages/count_tokens
  kResponses,    // OpenAI's /v1/responses
};

/// A query does not count.
[[nodiscard]] Dialect dialect_of(std::string_view path) noexcept;

/// As endpoints list what they speak themselves: "messages" (with count_tokens) or "responses"; empty for kOpenAi.
[[nodiscard]] std::string_view api_name(Dialect dialect) noexcept;

/// An error of ours as a client of the API reads it.
[[nodiscard]] openai::ErrorAnswer render_error(Dialect dialect, const Error& error);

/// Appends the event that ends a stream of the API, passed on as the endpoint made it, before it was complete.
void append_stream_error(std::string& out, Dialect dialect, const Error& error);

/// What a server of any kind said with an error status, in the shape of the client's API. No value if it has it
/// already.
[[nodiscard]] std::optional<std::string> shape_upstream_error(Dialect dialect, int status, std::string_view body);

}  // namespace llmd::api
