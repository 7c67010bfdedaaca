#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "api/openai/chat_answer_writer.h"
#include "base/error.h"

namespace llmd::api {

/// Turns a stream of chat completion events, cut at any place, into the stream of another API. What comes behind the
/// end does not count. An event that is none ends the stream with an error. Holds at most one line of kLineBytesMax.
/// One object a stream; not thread-safe.
class ChatStreamConverter {
 public:
  static constexpr std::size_t kLineBytesMax = 8 * 1024 * 1024;

  explicit ChatStreamConverter(std::unique_ptr<openai::ChatAnswerWriter> writer) noexcept
      : writer_{std::move(writer)} {}

  /// Appends what the bytes make.
  void feed(std::string_view piece, std::string& out);
  /// Appends the end of a stream that was cut. Nothing if it is over already.
  void fail(const Error& error, std::string& out);
  /// The client's stream has its last event.
  [[nodiscard]] bool over() const noexcept { return over_; }
  /// It ended because of an event that is none.
  [[nodiscard]] bool malformed() const noexcept { return malformed_; }

 private:
  void take_line(std::string_view line, std::string& out);

  std::unique_ptr<openai::ChatAnswerWriter> writer_;
  std::string held_;  // the begin of a line
  openai::Usage usage_;
  bool over_ = false;
  bool malformed_ = false;
};

}  // namespace llmd::api
