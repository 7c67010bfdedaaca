#include "llamacpp/tool_call_reader.h"

#include <utility>

namespace llmd::llamacpp {
namespace {

constexpr std::string_view kBeforeName = "{\"name\":\"";
constexpr std::string_view kBeforeArguments = ",\"arguments\":";

bool is_space(char c) noexcept { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

}  // namespace

std::size_t ToolCallReader::feed(std::string_view text, Step& step) {
  std::size_t taken = 0;
  while (taken < text.size() && !ended()) {
    const bool was_named = named_;
    read(text[taken], step);
    if (ended() && !was_named) break;  // no call: the text stays the caller's
    if (!was_named) beginning_ += text[taken];
    ++taken;
  }
  return taken;
}

void ToolCallReader::read(char c, Step& step) {
  switch (state_) {
    case State::kBeforeName: return match(c, kBeforeName, State::kName);
    case State::kName: return read_name(c, step);
    case State::kBeforeArguments:
      if (matched_ > 0 || c != '}') return match(c, kBeforeArguments, State::kArguments);
      step.arguments += "{}";
      state_ = State::kEnded;
      return;
    case State::kArguments: return read_arguments(c, step);
    case State::kAfterArguments:
      if (c == '}') state_ = State::kEnded;
      return;
    case State::kEnded: return;
  }
}

void ToolCallReader::match(char c, std::string_view expected, State then) {
  if (is_space(c)) return;
  if (c != expected[matched_]) {
    state_ = State::kEnded;
  } else if (++matched_ == expected.size()) {
    matched_ = 0;
    state_ = then;
  }
}

void ToolCallReader::read_name(char c, Step& step) {
  if (c == '\\' || (c == '"' && name_.empty())) {
    state_ = State::kEnded;  // no tool has such a name
  } else if (c != '"') {
    name_ += c;
  } else {
    step.name = std::exchange(name_, {});
    named_ = true;
    state_ = State::kBeforeArguments;
  }
}

void ToolCallReader::read_arguments(char c, Step& step) {
  if (in_string_) {
    step.arguments += c;
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
    }
    return;
  }
  if (is_space(c)) return;
  // Closes the call itself: arguments need not be an object.
  if (depth_ == 0 && c == '}') {
    state_ = State::kEnded;
    return;
  }
  step.arguments += c;
  if (c == '"') in_string_ = true;
  if (c == '{' || c == '[') ++depth_;
  if ((c == '}' || c == ']') && depth_ > 0 && --depth_ == 0) state_ = State::kAfterArguments;
}

}  // namespace llmd::llamacpp
