#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace llmd::cel {

enum class TokenKind : std::uint8_t {
  kEnd,
  kName,  // also words: true, in, has
  kInt,   // without sign; "0x1f" too
  kUint,  // with its suffix
  kDouble,
  kString,  // with its quotes and prefix
  kBytes,
  kMark,  // an operator or a bracket
};

/// A piece of an expression's text.
struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::size_t offset = 0;
  std::string_view text{};  // of the expression's
};

/// The token that begins at or after `offset`, behind white space and comments. Error kConfigInvalid: an unknown
/// character, a string without end.
[[nodiscard]] Result<Token> next_token(std::string_view text, std::size_t offset);

/// Error kConfigInvalid at a place of an expression: "2:5: <what>", line and column from 1, the column in bytes.
[[nodiscard]] Error error_at(std::string_view text, std::size_t offset, std::string_view what,
                             std::string_view hint = {});

}  // namespace llmd::cel
