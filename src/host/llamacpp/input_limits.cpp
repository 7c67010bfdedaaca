#include "llamacpp/input_limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <system_error>

#include "base/utf8.h"

namespace llmd::llamacpp {
namespace {

constexpr std::string_view kHint = "simplify the schema or grammar";

std::unexpected<Error> too_large(std::string_view what, std::size_t seen, std::size_t limit) {
  return fail(ErrorCode::kInvalidGrammar, fmt::format("{} is {}; at most {} is accepted", what, seen, limit),
              std::string{kHint});
}

/// Walks a GBNF and knows, at each repetition, how many elements it repeats.
class GbnfScan {
 public:
  explicit GbnfScan(std::string_view text) : text_{text} {}

  Result<void> run() {
    while (at_ < text_.size()) {
      step();
      if (!well_formed_) {
        return fail(ErrorCode::kInvalidGrammar,
                    fmt::format("before byte {} of the grammar stands no repetition that is taken", at_),
                    "write *, +, ?, {n}, {n,} or {n,m} with n <= m, one after each symbol");
      }
      if (depth_ > kGrammarDepthMax)
        return too_large("nesting of parentheses in the grammar", depth_, kGrammarDepthMax);
      if (elements_ > kGrammarElementsMax)
        return too_large("size of the written-out grammar", elements_, kGrammarElementsMax);
    }
    return {};
  }

 private:
  void step() {
    const char c = text_[at_];
    if (c == '"' || c == '[') return quoted(c == '"' ? '"' : ']');
    if (c == '#') return comment();
    if (c == '{') return repetition();
    if (c == '*' || c == '+' || c == '?') {
      ++at_;
      return repeated();
    }
    ++at_;
    if (c == '(') ++depth_;
    if (c == ')' && depth_ > 0) --depth_;
    // A group, a name and a dot are one element each; whitespace keeps the symbol before a repetition.
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
      symbol_elements_ = 1;
      repeated_ = false;
      ++elements_;
    }
  }

  void quoted(char end) {
    const std::size_t from = ++at_;
    while (at_ < text_.size() && text_[at_] != end) at_ += text_[at_] == '\\' ? 2 : 1;
    symbol_elements_ = std::max<std::size_t>(1, std::min(at_, text_.size()) - from);
    elements_ += symbol_elements_;
    repeated_ = false;
    ++at_;
  }

  /// llama.cpp copies what is repeated, so that repetitions of a repetition multiply.
  void repeated() {
    well_formed_ = !repeated_;
    repeated_ = true;
    elements_ += symbol_elements_;
  }

  void comment() {
    while (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
  }

  /// Anything but {n}, {n,} and {n,m} with n <= m is refused here: llama.cpp writes {6,4} out some 2^64 times.
  void repetition() {
    ++at_;
    const auto least = count();
    auto most = least;
    bool comma = false;
    if (least && at_ < text_.size() && text_[at_] == ',') {
      comma = true;
      ++at_;
      most = count();
    }
    well_formed_ = least && (!most || *most >= *least) && at_ < text_.size() && text_[at_] == '}';
    if (!well_formed_) return;
    ++at_;
    repeated();
    elements_ += symbol_elements_ * (*least + (comma && most ? *most : 0));
  }

  /// Digits with white space around them, if there are any. llama.cpp refuses a minimum above 2,000 and takes a larger
  /// maximum as unbounded.
  std::optional<std::size_t> count() {
    skip_space();
    std::uint64_t value = 0;
    const char* from = text_.data() + at_;
    const auto [past, error] = std::from_chars(from, text_.data() + text_.size(), value);
    if (past == from) return std::nullopt;
    if (error != std::errc{}) value = std::numeric_limits<std::uint64_t>::max();
    at_ += static_cast<std::size_t>(past - from);
    skip_space();
    return static_cast<std::size_t>(std::min<std::uint64_t>(value, 2'001));
  }

  void skip_space() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::size_t elements_ = 0;
  std::size_t symbol_elements_ = 1;
  bool repeated_ = false;  // the symbol before
  bool well_formed_ = true;
};

}  // namespace

JsonShape json_shape(std::string_view json) noexcept {
  JsonShape shape;
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') shape.depth = std::max(shape.depth, ++depth);
    if ((c == '}' || c == ']') && depth > 0) --depth;
    if (c == ':' || c == ',') ++shape.members;
  }
  return shape;
}

Result<void> check_schema_size(std::string_view json_schema) {
  if (json_schema.size() > kSchemaBytesMax)
    return too_large("size of the JSON schema in bytes", json_schema.size(), kSchemaBytesMax);
  const JsonShape shape = json_shape(json_schema);
  if (shape.depth > kJsonDepthMax) return too_large("nesting of the JSON schema", shape.depth, kJsonDepthMax);
  if (shape.members > kJsonMembersMax)
    return too_large("number of members in the JSON schema", shape.members, kJsonMembersMax);
  return {};
}

Result<void> check_grammar_size(std::string_view gbnf) {
  if (gbnf.size() > kGrammarBytesMax) return too_large("size of the grammar in bytes", gbnf.size(), kGrammarBytesMax);
  if (gbnf.find('\0') != std::string_view::npos) {
    return fail(ErrorCode::kInvalidGrammar, "the grammar holds a zero byte", std::string{kHint});
  }
  // llama.cpp takes the bytes that a broken character seems to have, quotes and brackets among them, and so would not
  // read what was looked at here.
  for (std::size_t at = 0; at < gbnf.size();) {
    const std::size_t bytes = utf8_character_bytes(gbnf.substr(at));
    if (bytes == 0)
      return fail(ErrorCode::kInvalidGrammar, fmt::format("byte {} of the grammar is no UTF-8", at + 1),
                  "send the grammar as UTF-8");
    at += bytes;
  }
  return GbnfScan{gbnf}.run();
}

}  // namespace llmd::llamacpp
