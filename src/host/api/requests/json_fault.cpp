#include "api/requests/json_fault.h"

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <utility>

namespace llmd::api {
namespace {

constexpr std::size_t kDepthMax = 10'000;  // Go's

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// A byte as Go quotes it: of 0x80 and more it takes the character with that number.
std::string quoted(char c) {
  constexpr std::string_view kPlain = "\a\b\f\n\r\t\v";
  constexpr std::string_view kLetters = "abfnrtv";
  const auto byte = static_cast<unsigned char>(c);
  if (c == '\'') return R"('\'')";
  if (c == '\\') return R"('\\')";
  if (const std::size_t at = kPlain.find(c); at != std::string_view::npos) return fmt::format("'\\{}'", kLetters[at]);
  if (byte < 0x20 || byte == 0x7f) return fmt::format("'\\x{:02x}'", byte);
  if (byte < 0x80) return fmt::format("'{}'", c);
  if (byte <= 0xa0 || byte == 0xad) return fmt::format("'\\u{:04x}'", byte);  // nothing to see
  const char utf8[] = {static_cast<char>(0xc0 | byte >> 6), static_cast<char>(0x80 | (byte & 0x3f)), '\0'};
  return fmt::format("'{}'", static_cast<const char*>(utf8));
}

/// Walks over one value. After a fault nothing more is read.
class Walker {
 public:
  explicit Walker(std::string_view text) : text_{text} {}

  std::string fault() {
    values();
    return std::move(fault_);
  }

 private:
  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  void skip_space() {
    while (!at_end() && is_space(text_[at_])) ++at_;
  }
  bool fail_at(char c, std::string_view context) {
    fault_ = fmt::format("invalid character {} {}", quoted(c), context);
    return false;
  }
  /// Where white space may stand, or in a string.
  bool fail_here(std::string_view context) {
    if (!at_end()) return fail_at(text_[at_], context);
    fault_ = "unexpected end of JSON input";
    return false;
  }
  /// Elsewhere Go takes the end for a space.
  bool fail_inside(std::string_view context) { return fail_at(at_end() ? ' ' : text_[at_], context); }
  /// The next character, if it is `wanted`.
  bool take(char wanted) {
    if (at_end() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  void values() {
    while (value()) {
      while (true) {  // after a value
        skip_space();
        if (open_.empty()) {
          if (!at_end()) fail_here("after top-level value");
          return;
        }
        const bool object = open_.back() == '{';
        if (take(',')) {
          if (object && !key()) return;
          break;
        }
        if (!take(object ? '}' : ']')) {
          fail_here(object ? "after object key:value pair" : "after array element");
          return;
        }
        open_.pop_back();
      }
    }
  }

  /// A scalar, or an empty list or object, or all that stands before the first value in one. False: there is a fault.
  bool value() {
    while (true) {
      skip_space();
      if (at_end()) return fail_here({});
      const char c = text_[at_];
      if (c == '"') return string();
      if (c == 't') return literal("true");
      if (c == 'f') return literal("false");
      if (c == 'n') return literal("null");
      if (c == '-' || is_digit(c)) return number();
      if (c != '{' && c != '[') return fail_here("looking for beginning of value");
      if (open_.size() >= kDepthMax) return fail_here("exceeded max depth");
      ++at_;
      skip_space();
      if (take(c == '{' ? '}' : ']')) return true;
      open_ += c;
      if (c == '{' && !key()) return false;
    }
  }

  bool key() {
    skip_space();
    if (at_end() || text_[at_] != '"') return fail_here("looking for beginning of object key string");
    if (!string()) return false;
    skip_space();
    return take(':') || fail_here("after object key");
  }

  bool string() {
    ++at_;
    while (!take('"')) {
      if (at_end() || static_cast<unsigned char>(text_[at_]) < 0x20) return fail_here("in string literal");
      if (text_[at_++] != '\\') continue;
      if (take('u')) {
        for (int i = 0; i < 4; ++i, ++at_) {
          if (at_end() || !is_hex(text_[at_])) return fail_inside("in \\u hexadecimal character escape");
        }
        continue;
      }
      constexpr std::string_view kEscapes = "bfnrt\\/\"";
      if (at_end() || kEscapes.find(text_[at_]) == std::string_view::npos) return fail_inside("in string escape code");
      ++at_;
    }
    return true;
  }

  bool literal(std::string_view name) {
    for (const char wanted : name) {
      if (!take(wanted)) return fail_inside(fmt::format("in literal {} (expecting '{}')", name, wanted));
    }
    return true;
  }

  bool digits(std::string_view context) {
    if (at_end() || !is_digit(text_[at_])) return fail_inside(context);
    while (!at_end() && is_digit(text_[at_])) ++at_;
    return true;
  }

  bool number() {
    (void)take('-');
    if (!take('0') && !digits("in numeric literal")) return false;
    if (take('.') && !digits("after decimal point in numeric literal")) return false;
    if (!take('e') && !take('E')) return true;
    if (!take('+')) (void)take('-');
    return digits("in exponent of numeric literal");
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string open_;  // containers that values are read in
  std::string fault_;
};

}  // namespace

std::string json_fault(std::string_view text) { return Walker{text}.fault(); }

}  // namespace llmd::api
