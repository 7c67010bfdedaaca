#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/openai/answer_usage.h"

namespace llmd::dispatch {

/// Passes a stream of server-sent events through, whole events at a time, so that a stream which is cut never leaves
/// the client with half an event. Nothing is re-serialised; a piece that ends with an event is handed on without a
/// copy. Notes on the way what a router wants to know: how many events, the usage, whether the stream said that it is
/// complete. The usage, which is null in all events but one that brings nothing else, can be left out for a client that
/// did not ask for it. Holds at most kHeldBytesMax; an event larger than it is passed on in parts. One object a stream;
/// not thread-safe.
class SseRelay {
 public:
  static constexpr std::size_t kHeldBytesMax = 8 * 1024 * 1024;
  enum class Usage : std::uint8_t { kPassOn, kHide };

  explicit SseRelay(Usage usage = Usage::kPassOn) noexcept : hides_usage_{usage == Usage::kHide} {}

  /// What can be handed on now, maybe nothing. The view is valid until the next call, and while `piece` is.
  [[nodiscard]] std::string_view feed(std::string_view piece);

  /// Data events so far, [DONE] and what was left out not counted.
  [[nodiscard]] std::uint32_t events() const noexcept { return events_; }
  /// The stream is complete: [DONE], the last event of Anthropic's messages or of OpenAI's responses, or an error event
  /// of the upstream's own, came.
  [[nodiscard]] bool complete() const noexcept { return complete_; }
  /// The upstream ended the stream with an error event.
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  /// From the last event that carried one.
  [[nodiscard]] const std::optional<openai::AnswerUsage>& usage() const noexcept { return usage_; }
  /// Bytes of an event that has not ended.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return held_.size(); }

 private:
  std::string_view inspect(std::string_view events);
  [[nodiscard]] bool look_at(std::string_view data);
  void look_at_name(std::string_view event);

  bool hides_usage_;
  std::string held_;   // the begin of an event whose end has not come
  std::string ready_;  // what the last feed() handed on, if it had to be put together
  std::string kept_;   // the same, if something was left out
  std::optional<openai::AnswerUsage> usage_;
  std::uint32_t events_ = 0;
  bool complete_ = false;
  bool failed_ = false;
};

}  // namespace llmd::dispatch
