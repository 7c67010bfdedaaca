#include "cel/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace llmd::cel {
namespace {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_hex_digit(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
constexpr bool begins_name(char c) noexcept { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool continues_name(char c) noexcept { return begins_name(c) || is_digit(c); }

/// Reads one token of a text.
class Lexer {
 public:
  Lexer(std::string_view text, std::size_t offset) noexcept : text_{text}, at_{offset} {}
  Result<Token> next();

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const noexcept {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  void skip_space() noexcept;
  void skip_digits() noexcept {
    while (is_digit(peek())) ++at_;
  }
  Result<Token> number();
  Result<Token> string(std::size_t prefix);
  [[nodiscard]] Token made(TokenKind kind) const noexcept { return {kind, begin_, text_.substr(begin_, at_ - begin_)}; }

  std::string_view text_;
  std::size_t at_;
  std::size_t begin_ = 0;
};

void Lexer::skip_space() noexcept {
  while (at_ < text_.size()) {
    if (std::string_view{" \t\n\f\r"}.contains(text_[at_])) {
      ++at_;
    } else if (text_.substr(at_).starts_with("//")) {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else {
      return;
    }
  }
}

Result<Token> Lexer::number() {
  TokenKind kind = TokenKind::kInt;
  if (peek() == '0' && peek(1) == 'x' && is_hex_digit(peek(2))) {
    at_ += 2;
    while (is_hex_digit(peek())) ++at_;
  } else {
    skip_digits();
    if (peek() == '.' && is_digit(peek(1))) {
      kind = TokenKind::kDouble;
      ++at_;
      skip_digits();
    }
    const std::size_t sign = peek(1) == '+' || peek(1) == '-' ? 1 : 0;
    if ((peek() == 'e' || peek() == 'E') && is_digit(peek(1 + sign))) {
      kind = TokenKind::kDouble;
      at_ += 1 + sign;
      skip_digits();
    }
  }
  if (kind == TokenKind::kInt && (peek() == 'u' || peek() == 'U')) {
    kind = TokenKind::kUint;
    ++at_;
  }
  if (continues_name(peek())) return std::unexpected(error_at(text_, begin_, "a number ends in a letter"));
  return made(kind);
}

Result<Token> Lexer::string(std::size_t prefix) {
  const std::string_view letters = text_.substr(begin_, prefix);
  const bool raw = letters.find_first_of("rR") != std::string_view::npos;
  const bool bytes = letters.find_first_of("bB") != std::string_view::npos;
  if (prefix == 2 && raw != bytes) return std::unexpected(error_at(text_, begin_, "a string has a prefix twice"));
  at_ += prefix;
  const char quote = peek();
  const std::size_t quotes = peek(1) == quote && peek(2) == quote ? 3 : 1;
  const std::string end(quotes, quote);
  at_ += quotes;
  while (at_ < text_.size()) {
    if (text_.substr(at_).starts_with(end)) {
      at_ += quotes;
      return made(bytes ? TokenKind::kBytes : TokenKind::kString);
    }
    if (quotes == 1 && (peek() == '\n' || peek() == '\r')) break;
    at_ += !raw && peek() == '\\' ? 2 : 1;
  }
  return std::unexpected(error_at(text_, begin_, "a string has no end"));
}

Result<Token> Lexer::next() {
  skip_space();
  begin_ = at_;
  if (at_ >= text_.size()) {
    begin_ = at_ = text_.size();
    return made(TokenKind::kEnd);
  }
  const char c = peek();
  if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
  std::size_t prefix = 0;  // r, b, br and the like
  while (prefix < 2 && std::string_view{"rRbB"}.contains(peek(prefix))) ++prefix;
  if (peek(prefix) == '"' || peek(prefix) == '\'') return string(prefix);
  if (begins_name(c)) {
    while (continues_name(peek())) ++at_;
    return made(TokenKind::kName);
  }
  constexpr std::array<std::string_view, 6> kPairs{"&&", "||", "==", "!=", "<=", ">="};
  const bool pair = std::ranges::find(kPairs, text_.substr(at_, 2)) != kPairs.end();
  if (!pair && !std::string_view{"<>+-*/%!?:.,()[]{}"}.contains(c)) {
    const bool printable = c > ' ' && c < '\x7f';
    return std::unexpected(error_at(text_, at_,
                                    printable ? fmt::format("\"{}\" has no meaning here", c)
                                              : fmt::format("byte {} has no meaning here", int{c} & 255)));
  }
  at_ += pair ? 2 : 1;
  return made(TokenKind::kMark);
}

}  // namespace

Result<Token> next_token(std::string_view text, std::size_t offset) { return Lexer{text, offset}.next(); }

Error error_at(std::string_view text, std::size_t offset, std::string_view what, std::string_view hint) {
  const std::string_view before = text.substr(0, offset);
  const std::size_t line = 1 + static_cast<std::size_t>(std::ranges::count(before, '\n'));
  const std::size_t start = before.rfind('\n') + 1;  // npos + 1 is 0
  return {.code = ErrorCode::kConfigInvalid,
          .what = fmt::format("{}:{}: {}", line, offset - start + 1, what),
          .hint = std::string{hint}};
}

}  // namespace llmd::cel
