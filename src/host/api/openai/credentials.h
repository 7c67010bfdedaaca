#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llmd::openai {

/// Whether the Authorization header carries the key as a bearer token. An empty key allows everyone. The time taken
/// does not depend on where the two differ.
[[nodiscard]] bool authorized(std::string_view key, std::optional<std::string_view> authorization) noexcept;

/// Whether one of the two headers carries the key: Authorization as above, or x-api-key, by which Anthropic's clients
/// send it.
struct GivenKeys {
  std::optional<std::string_view> authorization;
  std::optional<std::string_view> x_api_key;
};
[[nodiscard]] bool authorized(std::string_view key, const GivenKeys& given) noexcept;

/// A client's x-request-id if it is 1 to 128 characters of [A-Za-z0-9._:-]; otherwise nothing, and the server makes
/// one.
[[nodiscard]] std::optional<std::string> accept_request_id(std::optional<std::string_view> header);

/// 24 hexadecimal digits of the two numbers given: unique when they are random.
[[nodiscard]] std::string make_request_id(std::uint64_t random_high, std::uint32_t random_low);

}  // namespace llmd::openai
