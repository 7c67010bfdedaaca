#include "api/requests/answer_model_rewriter.h"

#include <algorithm>

#include "api/openai/json_writer.h"
#include "api/requests/byte_search.h"

namespace llmd::api {
namespace {

constexpr std::string_view kData = "data:";

}  // namespace

AnswerModelRewriter::AnswerModelRewriter(Form form, std::string_view model)
    : form_{form}, state_{form == Form::kEvents ? State::kLineStart : State::kOutside} {
  openai::append_json_string(name_, model);
}

std::string_view AnswerModelRewriter::rewrite(std::string_view chunk, std::string& scratch) {
  std::size_t copied = 0;
  bool changed = false;
  const auto copy_to = [&](std::size_t end) {
    if (!changed) scratch.clear();
    changed = true;
    scratch += chunk.substr(copied, end - copied);
  };
  for (std::size_t at = 0; at < chunk.size();) {
    switch (state_) {
      case State::kLineStart: at = line_start(chunk, at); break;
      case State::kOtherLine: at = other_line(chunk, at); break;
      case State::kDone: at = chunk.size(); break;
      case State::kKey:
      case State::kString: at = string(chunk, at); break;
      case State::kOutside:
        at = outside(chunk, at);
        if (state_ != State::kOldName) break;
        copy_to(at - 1);  // the quote is of the new name
        scratch += name_;
        copied = at;
        break;
      case State::kOldName:
        copy_to(at);
        at = string(chunk, at);
        // What breaks off a line is not of the name.
        copied = state_ == State::kLineStart ? at - 1 : at;
        break;
    }
  }
  if (!changed) return chunk;
  scratch += chunk.substr(copied);
  return scratch;
}

std::size_t AnswerModelRewriter::line_start(std::string_view chunk, std::size_t at) noexcept {
  for (; at < chunk.size(); ++at) {
    const char c = chunk[at];
    if (c == '\n') {
      if (line_bytes_ == 0) begin_document();  // an empty line ends the event
      line_bytes_ = 0;
    } else if (c == kData[line_bytes_]) {
      if (++line_bytes_ < kData.size()) continue;
      state_ = done_ ? State::kOtherLine : State::kOutside;
      return at + 1;
    } else if (c != '\r' || line_bytes_ > 0) {
      state_ = State::kOtherLine;
      return at;
    }
  }
  return at;
}

std::size_t AnswerModelRewriter::other_line(std::string_view chunk, std::size_t at) noexcept {
  const std::size_t end = chunk.find('\n', at);
  if (end == std::string_view::npos) return chunk.size();
  end_line();
  return end + 1;
}

void AnswerModelRewriter::begin_document() noexcept {
  depth_ = 0;
  watched_depth_ = 0;
  key_follows_ = false;
  key_ = Key::kOther;
  done_ = false;
}

void AnswerModelRewriter::end_line() noexcept {
  // JSON may go on in the next data line, but not within a string.
  if (state_ != State::kOutside && state_ != State::kOtherLine) begin_document();
  escaped_ = false;
  state_ = State::kLineStart;
  line_bytes_ = 0;
}

std::size_t AnswerModelRewriter::outside(std::string_view chunk, std::size_t at) noexcept {
  const bool lines = form_ == Form::kEvents;
  while (at < chunk.size()) {
    if (!watched()) at = lines ? find_structure<true>(chunk, at) : find_structure<false>(chunk, at);
    if (at == chunk.size()) break;
    const char c = chunk[at++];
    if (c == '"') {
      begin_string();
      if (state_ == State::kOldName) return at;
      at = string(chunk, at);
      if (state_ != State::kOutside) return at;
      continue;
    }
    if (lines && c == '\n') {
      end_line();
      return at;
    }
    take_structure(c);
  }
  return at;
}

void AnswerModelRewriter::take_structure(char c) noexcept {
  switch (c) {
    case '{':
    case '[': {
      const bool inner = watched() && depth_ == 1 && key_ == Key::kInner;
      key_ = Key::kOther;
      ++depth_;
      if (c == '[' || (depth_ > 1 && !inner)) break;
      watched_depth_ = depth_;
      key_follows_ = true;
      break;
    }
    case '}':
    case ']':
      if (depth_ == 0) break;
      if (watched()) --watched_depth_;
      --depth_;
      key_follows_ = false;
      key_ = Key::kOther;
      break;
    case ',':
      key_follows_ = watched();
      key_ = Key::kOther;
      break;
    case ':':
    case ' ':
    case '\t':
    case '\r':
    case '\n': break;
    default: key_ = Key::kOther;  // a number or the like
  }
}

void AnswerModelRewriter::begin_string() noexcept {
  escaped_ = false;
  state_ = State::kString;
  if (!watched()) return;
  if (key_follows_) {
    state_ = State::kKey;
    key_bytes_ = 0;
  } else if (key_ == Key::kModel) {
    state_ = State::kOldName;
  }
}

void AnswerModelRewriter::add_to_key(std::string_view text) noexcept {
  const std::size_t taken = std::min(text.size(), kKeyBytesMax - key_bytes_);
  std::copy_n(text.data(), taken, key_text_ + key_bytes_);
  key_bytes_ += taken;
}

void AnswerModelRewriter::end_string() noexcept {
  if (state_ == State::kOldName) {
    done_ = true;
    state_ = form_ == Form::kEvents ? State::kOtherLine : State::kDone;
    return;
  }
  key_ = state_ == State::kKey ? known_key({key_text_, key_bytes_}) : Key::kOther;
  key_follows_ = false;
  state_ = State::kOutside;
}

AnswerModelRewriter::Key AnswerModelRewriter::known_key(std::string_view text) noexcept {
  switch (text.size()) {
    case 5: return text == "model" ? Key::kModel : Key::kOther;
    case 7: return text == "message" ? Key::kInner : Key::kOther;
    case 8: return text == "response" ? Key::kInner : Key::kOther;
    default: return Key::kOther;
  }
}

std::size_t AnswerModelRewriter::string(std::string_view chunk, std::size_t at) noexcept {
  const bool lines = form_ == Form::kEvents;
  while (at < chunk.size()) {
    if (escaped_) {
      escaped_ = false;
      if (!lines || chunk[at] != '\n') {
        ++at;
        continue;
      }
    }
    const std::size_t end = lines ? find_string_end<true>(chunk, at) : find_string_end<false>(chunk, at);
    if (state_ == State::kKey) add_to_key(chunk.substr(at, end - at));
    if (end == chunk.size()) return end;
    at = end + 1;
    if (chunk[end] == '\\') {
      escaped_ = true;
      if (state_ == State::kKey) key_bytes_ = kKeyBytesMax;  // matches nothing
      continue;
    }
    if (chunk[end] == '\n') {
      end_line();
    } else {
      end_string();
    }
    return at;
  }
  return at;
}

}  // namespace llmd::api
