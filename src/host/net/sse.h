#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmd::net {

/// One server-sent event.
struct SseEvent {
  std::string event;  // empty: "message"
  std::string data;   // lines joined with LF
  std::string id;     // the last one that was given, also by earlier events
};

/// Takes a stream of server-sent events apart, however it is cut: lines end with CR, LF or CR LF, a byte order mark at
/// the start is skipped, comments and "retry" are dropped. Not thread-safe. After an error it is of no more use.
class SseParser {
 public:
  explicit SseParser(std::size_t event_bytes_max = 1024 * 1024) : event_bytes_max_{event_bytes_max} {}

  /// The events that end in `bytes`. Error kProtocol: an event with its names is longer than the bound.
  [[nodiscard]] Result<std::vector<SseEvent>> feed(std::string_view bytes);

 private:
  [[nodiscard]] std::string_view skip_byte_order_mark(std::string_view bytes);
  [[nodiscard]] bool append(std::string_view part);
  void end_line(std::vector<SseEvent>& events);
  void take_field();

  std::size_t event_bytes_max_;
  std::string line_;
  std::string event_;
  std::string data_;
  std::string id_;
  bool has_data_ = false;
  bool after_cr_ = false;
  unsigned mark_bytes_ = 0;  // of the byte order mark seen so far; 4: the start is over
};

/// "data: ..." for each line of `data`, and the empty line; with "event: ..." before it if `event` is not empty.
/// Pre: `event` has no line end.
[[nodiscard]] std::string format_event(std::string_view data, std::string_view event = {});

}  // namespace llmd::net
