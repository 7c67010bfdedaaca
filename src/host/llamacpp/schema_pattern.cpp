#include "llamacpp/schema_pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "llamacpp/input_limits.h"

namespace llmd::llamacpp {
namespace {

/// Code points from first to last.
struct Range {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};
using Ranges = std::vector<Range>;

/// What stands in a JSON string as an escape only.
const Ranges kEscapedInJson{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}, {0x7F, 0x7F}};
constexpr unsigned kRepetitionsMax = 1'000'000;  // many more than a grammar's size allows
constexpr std::string_view kQuantifiers = "*+?{";
constexpr std::string_view kControlEscapes = "nrtfv0";

/// `ranges` without the characters that JSON escapes.
Ranges without_escaped(Ranges ranges) {
  for (const Range& out : kEscapedInJson) {
    Ranges left;
    for (const Range& range : ranges) {
      if (range.first < out.first) left.push_back({range.first, std::min(range.last, out.first - 1)});
      if (range.last > out.last) left.push_back({std::max(range.first, out.last + 1), range.last});
    }
    ranges = std::move(left);
  }
  return ranges;
}

/// As a GBNF class. Numbers only, so that no character means something else inside one.
std::string class_text(const Ranges& ranges, bool negated) {
  std::string text = negated ? "[^" : "[";
  for (const Range& range : ranges) {
    text += fmt::format("\\U{:08X}", range.first);
    if (range.last != range.first) text += fmt::format("-\\U{:08X}", range.last);
  }
  return text + "]";
}

/// What \d and its like stand for; empty if the letter is none of them.
Ranges class_of(char letter) {
  if (letter == 'd') return {{'0', '9'}};
  if (letter == 'w') return {{'A', 'Z'}, {'a', 'z'}, {'0', '9'}, {'_', '_'}};
  if (letter == 's') return {{' ', ' '}, {'\t', '\r'}, {0xA0, 0xA0}};
  return {};
}

bool is_alphanumeric(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::size_t utf8_bytes(char lead) noexcept {
  const auto byte = static_cast<std::uint8_t>(lead);
  if (byte < 0xC0) return 1;
  if (byte < 0xE0) return 2;
  return byte < 0xF0 ? 3 : 4;
}

class Writer {
 public:
  explicit Writer(std::string_view pattern) : pattern_{pattern} {}

  Result<std::string> write() {
    const bool closed = pattern_.size() >= 2 && pattern_.front() == '^' && pattern_.back() == '$';
    if (!closed || ends_with_escape()) return refuse("is not anchored with ^ and $");
    end_ = pattern_.size() - 1;
    out_ = "^";
    for (at_ = 1; at_ < end_;) LLMD_TRY_VOID(next());
    out_ += '$';
    return std::move(out_);
  }

 private:
  /// The last character, '$', is an escaped one.
  [[nodiscard]] bool ends_with_escape() const {
    std::size_t backslashes = 0;
    while (backslashes + 2 < pattern_.size() && pattern_[pattern_.size() - 2 - backslashes] == '\\') ++backslashes;
    return backslashes % 2 == 1;
  }

  [[nodiscard]] std::unexpected<Error> refuse(std::string_view why) const {
    return fail(ErrorCode::kInvalidGrammar, fmt::format("the schema's pattern, at byte {}, {}", at_, why),
                "docs/structured-output.md says what patterns may hold");
  }

  [[nodiscard]] char peek(std::size_t ahead = 0) const { return at_ + ahead < end_ ? pattern_[at_ + ahead] : '\0'; }

  Result<void> next() {
    const char c = peek();
    switch (c) {
      case '^':
      case '$': return refuse("has an anchor inside");
      case '.': ++at_; return write_ranges({}, /*negated=*/true);
      case '[': return write_class();
      case '(': return open_group();
      case '*':
      case '+':
      case '?':
      case '{': return write_quantifier();
      case ')': depth_ -= depth_ > 0 ? 1 : 0; [[fallthrough]];
      case '|':
        out_ += c;
        ++at_;
        return {};
      default: break;
    }
    if (is_alphanumeric(c) || c == ' ') {
      out_ += c;
      ++at_;
      return {};
    }
    LLMD_TRY(const Ranges one, member());
    return write_ranges(one, /*negated=*/false);
  }

  Result<void> write_ranges(Ranges ranges, bool negated) {
    if (negated) {
      ranges.insert(ranges.end(), kEscapedInJson.begin(), kEscapedInJson.end());
    } else {
      ranges = without_escaped(std::move(ranges));
      if (ranges.empty()) return refuse("needs a character that JSON escapes");
    }
    out_ += class_text(ranges, negated);
    return {};
  }

  Result<void> open_group() {
    if (peek(1) == '?' && peek(2) != ':') return refuse("has look-around or a named group");
    if (++depth_ > kGrammarDepthMax) return refuse("nests groups too deep");
    out_ += '(';
    at_ += peek(1) == '?' ? 3 : 1;
    return {};
  }

  Result<void> write_quantifier() {
    std::size_t close = at_;
    if (peek() == '{') {
      LLMD_TRY(close, end_of_braces());
    }
    out_ += pattern_.substr(at_, close + 1 - at_);
    at_ = close + 1;
    if (peek() == '?') ++at_;  // lazy or greedy, the same strings match
    if (peek() != '\0' && kQuantifiers.find(peek()) != std::string_view::npos) return refuse("repeats a repetition");
    return {};
  }

  /// Where {n}, {n,} or {n,m} ends. For any other braces llama.cpp would take every string.
  Result<std::size_t> end_of_braces() {
    const auto number = [this](std::size_t& at) -> std::optional<unsigned> {
      unsigned value = 0;
      const char* from = pattern_.data() + at;
      const auto [past, error] = std::from_chars(from, pattern_.data() + end_, value);
      if (error != std::errc{} || value > kRepetitionsMax) return std::nullopt;
      at += static_cast<std::size_t>(past - from);
      return value;
    };
    std::size_t at = at_ + 1;
    const auto least = number(at);
    bool good = least.has_value();
    if (good && at < end_ && pattern_[at] == ',') {
      ++at;
      if (at < end_ && pattern_[at] != '}') {
        const auto most = number(at);
        good = most && *most >= *least;
      }
    }
    if (!good || at >= end_ || pattern_[at] != '}') return refuse("has a brace that is no repetition");
    return at;
  }

  /// One character, or what an escape stands for.
  Result<Ranges> member() {
    if (peek() == '\\') return escape();
    const std::size_t bytes = std::min(utf8_bytes(peek()), end_ - at_);
    std::uint32_t character = static_cast<std::uint8_t>(peek());
    if (bytes > 1) character &= 0x7FU >> bytes;
    for (std::size_t i = 1; i < bytes; ++i)
      character = (character << 6U) | (static_cast<std::uint8_t>(peek(i)) & 0x3FU);
    at_ += bytes;
    return Ranges{{character, character}};
  }

  Result<Ranges> escape() {
    const char letter = peek(1);
    if (letter == 'x' || letter == 'u') return hexadecimal(letter == 'x' ? 2 : 4);
    if (Ranges known = class_of(letter); !known.empty()) {
      at_ += 2;
      return known;
    }
    if (letter == '\0') return refuse("ends with a backslash");
    const bool control = kControlEscapes.find(letter) != std::string_view::npos;
    if (is_alphanumeric(letter) && !control)
      return refuse(fmt::format("has the escape \\{}, which is not supported", letter));
    at_ += 2;
    const auto character = control ? std::uint32_t{'\n'} : std::uint32_t{static_cast<std::uint8_t>(letter)};
    return Ranges{{character, character}};
  }

  Result<Ranges> hexadecimal(std::size_t digits) {
    std::uint32_t value = 0;
    const char* from = pattern_.data() + at_ + 2;
    const bool whole = at_ + 2 + digits <= end_ && std::from_chars(from, from + digits, value, 16).ptr == from + digits;
    if (!whole) return refuse(fmt::format("has an escape without {} hexadecimal digits", digits));
    if (value >= 0xD800 && value <= 0xDFFF) return refuse("has half of a character");
    at_ += 2 + digits;
    return Ranges{{value, value}};
  }

  Result<void> write_class() {
    ++at_;
    const bool negated = peek() == '^';
    if (negated) ++at_;
    Ranges ranges;
    while (at_ < end_ && peek() != ']') {
      LLMD_TRY(Ranges part, member());
      const bool single = part.size() == 1 && part[0].first == part[0].last;
      if (single && peek() == '-' && peek(1) != ']' && peek(1) != '\0') {
        ++at_;
        LLMD_TRY(const Ranges last, member());
        if (last.size() != 1 || last[0].first < part[0].first) return refuse("has a range that is none");
        part[0].last = last[0].last;
      }
      ranges.insert(ranges.end(), part.begin(), part.end());
    }
    if (at_ >= end_) return refuse("has a class without an end");
    ++at_;
    return write_ranges(std::move(ranges), negated);
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  std::size_t end_ = 0;
  std::size_t depth_ = 0;  // of groups
  std::string out_;
};

}  // namespace

Result<std::string> pattern_for_grammar(std::string_view pattern) { return Writer{pattern}.write(); }

}  // namespace llmd::llamacpp
