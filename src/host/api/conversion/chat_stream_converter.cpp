#include "api/conversion/chat_stream_converter.h"

#include <utility>

#include "api/openai/chat_answer_reader.h"

namespace llmd::api {

void ChatStreamConverter::feed(std::string_view piece, std::string& out) {
  while (!over_ && !piece.empty()) {
    const std::size_t end = piece.find('\n');
    if (end == std::string_view::npos) {
      held_ += piece;
      if (held_.size() > kLineBytesMax) {
        malformed_ = true;
        fail({.code = ErrorCode::kProtocol, .what = "an event of the endpoint's is longer than 8 MiB"}, out);
      }
      return;
    }
    if (held_.empty()) {
      take_line(piece.substr(0, end), out);
    } else {
      held_ += piece.substr(0, end);
      take_line(std::exchange(held_, {}), out);
    }
    piece.remove_prefix(end + 1);
  }
}

void ChatStreamConverter::take_line(std::string_view line, std::string& out) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (!line.starts_with("data:")) return;
  line.remove_prefix(5);
  while (line.starts_with(' ')) line.remove_prefix(1);
  if (line.empty()) return;
  if (line == "[DONE]") {
    over_ = true;
    writer_->append_end(out, usage_);
    return;
  }
  const auto event = openai::read_chat_event(line);
  malformed_ = !event;
  if (!event) return fail(event.error(), out);
  if (event->error) return fail(*event->error, out);
  if (event->usage) usage_ = *event->usage;
  if (event->chunk) writer_->append_chunk(out, *event->chunk);
}

void ChatStreamConverter::fail(const Error& error, std::string& out) {
  if (std::exchange(over_, true)) return;
  writer_->append_error(out, error);
}

}  // namespace llmd::api
