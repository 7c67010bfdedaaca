#include "cel/literal.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace llmd::cel {
namespace {

std::optional<std::uint64_t> magnitude(std::string_view digits) noexcept {
  const bool hex = digits.starts_with("0x");
  if (hex) digits.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : 10);
  if (status != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

void append_utf8(std::uint32_t point, std::string& text) {
  const auto add = [&text](std::uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  const auto tail = [&](int shift) { add(0x80U | ((point >> shift) & 0x3fU)); };
  if (point < 0x80U) {
    add(point);
  } else if (point < 0x800U) {
    add(0xc0U | (point >> 6));
    tail(0);
  } else if (point < 0x10000U) {
    add(0xe0U | (point >> 12));
    tail(6);
    tail(0);
  } else {
    add(0xf0U | (point >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

constexpr bool is_scalar_value(std::uint32_t point) noexcept {
  return point <= 0x10ffffU && (point < 0xd800U || point > 0xdfffU);
}

/// Reads the escape behind a backslash off the front of `rest`.
bool append_escape(std::string_view& rest, std::string& text) {
  if (rest.empty()) return false;
  const char kind = rest.front();
  constexpr std::string_view kPlain = R"(\?"'`)";
  constexpr std::string_view kControl = "abfnrtv";
  constexpr std::string_view kControlBytes = "\a\b\f\n\r\t\v";
  if (kPlain.contains(kind) || kControl.contains(kind)) {
    text.push_back(kPlain.contains(kind) ? kind : kControlBytes[kControl.find(kind)]);
    rest.remove_prefix(1);
    return true;
  }
  const bool octal = kind >= '0' && kind <= '3';
  const std::size_t skipped = octal ? 0 : 1;
  const std::size_t digits = octal ? 3 : kind == 'x' || kind == 'X' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
  if (digits == 0 || rest.size() < skipped + digits) return false;
  std::uint32_t point = 0;
  const char* begin = rest.data() + skipped;
  const auto [end, status] = std::from_chars(begin, begin + digits, point, octal ? 8 : 16);
  if (status != std::errc{} || end != begin + digits || !is_scalar_value(point)) return false;
  append_utf8(point, text);
  rest.remove_prefix(skipped + digits);
  return true;
}

}  // namespace

std::optional<std::int64_t> int_literal(std::string_view token, bool negative) noexcept {
  const auto value = magnitude(token);
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!value || *value > kMax + (negative ? 1 : 0)) return std::nullopt;
  return static_cast<std::int64_t>(negative ? std::uint64_t{0} - *value : *value);
}

std::optional<std::uint64_t> uint_literal(std::string_view token) noexcept {
  return magnitude(token.substr(0, token.size() - 1));
}

std::optional<double> double_literal(std::string_view token) {
  double value = 0;
  const auto [end, status] = std::from_chars(token.data(), token.data() + token.size(), value);
  if (status == std::errc{}) return value;
  // from_chars does not tell too large from too small.
  value = std::strtod(std::string{token}.c_str(), nullptr);
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<std::string> string_literal(std::string_view token) {
  const bool raw = token.front() == 'r' || token.front() == 'R';
  if (raw) token.remove_prefix(1);
  const std::size_t quotes = token.size() >= 6 && token[1] == token[0] && token[2] == token[0] ? 3 : 1;
  token = token.substr(quotes, token.size() - 2 * quotes);
  if (raw) return std::string{token};
  std::string text;
  while (!token.empty()) {
    const char c = token.front();
    token.remove_prefix(1);
    if (c != '\\') {
      text.push_back(c);
    } else if (!append_escape(token, text)) {
      return std::nullopt;
    }
  }
  return text;
}

}  // namespace llmd::cel
