#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llmd::cel {

/// The value of a kInt token, with a minus before it or not. No value: beyond 64 bits.
[[nodiscard]] std::optional<std::int64_t> int_literal(std::string_view token, bool negative) noexcept;

/// The value of a kUint token. No value: beyond 64 bits.
[[nodiscard]] std::optional<std::uint64_t> uint_literal(std::string_view token) noexcept;

/// The value of a kDouble token. No value: too large. What is too small is 0.
[[nodiscard]] std::optional<double> double_literal(std::string_view token);

/// The text that a kString token means, in UTF-8: without quotes, escapes undone. No value: an escape that CEL does not
/// know, or that is no Unicode scalar value.
[[nodiscard]] std::optional<std::string> string_literal(std::string_view token);

}  // namespace llmd::cel
