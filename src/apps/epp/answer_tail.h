#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/openai/routing_fields.h"

namespace llmd::epp {

/// What is kept of an answer that streams by: its beginning and its end, where token counts stand, and how many events
/// it had. At most kHead + 2 * kTail bytes.
class AnswerTail {
 public:
  void feed(std::string_view piece);
  /// Token counts, of its end or else of its beginning; without any, an event counts as a token.
  [[nodiscard]] std::optional<openai::AnswerUsage> usage() const;
  [[nodiscard]] std::uint32_t events() const noexcept { return events_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  static constexpr std::size_t kHead = 2 * 1024;
  static constexpr std::size_t kTail = 8 * 1024;
  std::string head_;
  std::string tail_;
  std::uint64_t bytes_ = 0;
  std::uint32_t events_ = 0;
};

}  // namespace llmd::epp
