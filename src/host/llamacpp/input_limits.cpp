#include "llamacpp/input_limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

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
    ++at_;
    if (c == '(') ++depth_;
    if (c == ')' && depth_ > 0) --depth_;
    // A group, a name and a dot are one element each; whitespace keeps the symbol before a repetition.
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
      symbol_elements_ = 1;
      ++elements_;
    }
  }

  void quoted(char end) {
    const std::size_t from = ++at_;
    while (at_ < text_.size() && text_[at_] != end) at_ += text_[at_] == '\\' ? 2 : 1;
    symbol_elements_ = std::max<std::size_t>(1, std::min(at_, text_.size()) - from);
    elements_ += symbol_elements_;
    ++at_;
  }

  void comment() {
    while (at_ < text_.size() && text_[at_] != '\n') ++at_;
  }

  void repetition() {
    const std::size_t close = std::min(text_.find('}', at_), text_.size());
    const std::string_view body = text_.substr(at_ + 1, close - std::min(close, at_ + 1));
    elements_ += symbol_elements_ * (count_in(body) + count_in(body.substr(std::min(body.find(',') + 1, body.size()))));
    at_ = close + 1;
  }

  /// llama.cpp refuses a minimum above 2,000 and takes a larger maximum as unbounded.
  static std::size_t count_in(std::string_view digits) {
    while (!digits.empty() && digits.front() == ' ') digits.remove_prefix(1);
    std::uint64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return static_cast<std::size_t>(std::min<std::uint64_t>(value, 2'001));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::size_t elements_ = 0;
  std::size_t symbol_elements_ = 1;
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
  return GbnfScan{gbnf}.run();
}

}  // namespace llmd::llamacpp
