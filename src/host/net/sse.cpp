#include "net/sse.h"

#include <fmt/format.h>

#include <algorithm>

namespace llmd::net {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr unsigned kStartIsOver = 4;

}  // namespace

Result<std::vector<SseEvent>> SseParser::feed(std::string_view bytes) {
  std::vector<SseEvent> events;
  const auto too_long = [this] {
    return fail(ErrorCode::kProtocol, fmt::format("a server-sent event is longer than {} bytes", event_bytes_max_));
  };
  if (mark_bytes_ != kStartIsOver) {
    bytes = skip_byte_order_mark(bytes);
    if (line_.size() > event_bytes_max_) return too_long();
  }
  while (!bytes.empty()) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const std::size_t end = bytes.find_first_of("\r\n");
    if (!append(bytes.substr(0, end))) return too_long();
    if (end == std::string_view::npos) break;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    end_line(events);
  }
  return events;
}

std::string_view SseParser::skip_byte_order_mark(std::string_view bytes) {
  while (!bytes.empty() && mark_bytes_ < kByteOrderMark.size() && bytes.front() == kByteOrderMark[mark_bytes_]) {
    ++mark_bytes_;
    bytes.remove_prefix(1);
  }
  if (mark_bytes_ == kByteOrderMark.size()) {
    mark_bytes_ = kStartIsOver;
  } else if (!bytes.empty()) {
    line_ = kByteOrderMark.substr(0, mark_bytes_);  // it only began like one
    mark_bytes_ = kStartIsOver;
  }
  return bytes;
}

bool SseParser::append(std::string_view part) {
  if (line_.size() + event_.size() + data_.size() + id_.size() + part.size() > event_bytes_max_) return false;
  line_ += part;
  return true;
}

void SseParser::end_line(std::vector<SseEvent>& events) {
  if (!line_.empty()) {
    take_field();
    line_.clear();
    return;
  }
  if (std::exchange(has_data_, false)) {
    data_.pop_back();  // the line end of the last line
    events.push_back({.event = std::move(event_), .data = std::move(data_), .id = id_});
  }
  event_.clear();
  data_.clear();
}

void SseParser::take_field() {
  const std::string_view line{line_};
  const std::size_t colon = std::min(line.find(':'), line.size());
  const std::string_view name = line.substr(0, colon);
  std::string_view value = line.substr(std::min(colon + 1, line.size()));
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "data") {
    data_ += value;
    data_ += '\n';
    has_data_ = true;
  } else if (name == "event") {
    event_ = value;
  } else if (name == "id" && value.find('\0') == std::string_view::npos) {
    id_ = value;
  }
}

std::string format_event(std::string_view data, std::string_view event) {
  std::string out;
  out.reserve(data.size() + event.size() + 24);
  if (!event.empty()) {
    out += "event: ";
    out += event;
    out += '\n';
  }
  while (true) {
    const std::size_t end = data.find_first_of("\r\n");
    out += "data: ";
    out += data.substr(0, end);
    out += '\n';
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + (data.substr(end).starts_with("\r\n") ? 2 : 1));
  }
  out += '\n';
  return out;
}

}  // namespace llmd::net
