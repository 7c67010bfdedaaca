#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/openai/answer_usage.h"

namespace llmd::api {

/// What an answer is made of, as the token counts in it are found.
enum class AnswerForm : std::uint8_t {
  kText,            // JSON, or server-sent events with JSON
  kGenerateFrames,  // gRPC messages of vLLM's GenerateResponse
  kEmbedFrames,     // the same of EmbedResponse
  kHttpBodyFrames,  // the same of google.api.HttpBody with kText inside
  kUnknown,         // nobody looks
};

/// Reads the token counts of an answer while it passes, cut into chunks anywhere; later counts replace earlier ones.
/// Keeps no more than a frame of kFrameBytesMax or counts of openai::kUsageBytesMax that are not complete. About 5 GB/s
/// of text. One object an answer, for one thread.
class UsageReader {
 public:
  static constexpr std::size_t kFrameBytesMax = 1U << 20U;  // larger ones are passed over

  explicit UsageReader(AnswerForm form) noexcept : form_{form} {}

  void read(std::string_view chunk);
  /// What is known so far.
  [[nodiscard]] std::optional<openai::AnswerUsage> usage() const noexcept { return usage_.finish(); }
  /// Nothing: the engine did not tell.
  [[nodiscard]] std::optional<std::uint32_t> cached_tokens() const noexcept { return usage_.cached_tokens; }

 private:
  void read_text(std::string_view chunk);
  void read_frames(std::string_view chunk);
  void take_frame(std::string_view message);

  AnswerForm form_;
  openai::PartialUsage usage_;
  std::string kept_;                 // the end of what was read, as far as it is not complete
  std::string text_;                 // of kHttpBodyFrames
  std::uint64_t skipped_bytes_ = 0;  // of a frame that is passed over: still to come
};

/// The same of a whole answer; text is looked at from its end only.
[[nodiscard]] std::optional<openai::AnswerUsage> find_usage(AnswerForm form, std::string_view answer);

}  // namespace llmd::api
