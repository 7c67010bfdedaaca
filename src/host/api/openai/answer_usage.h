#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace llmd::openai {

/// Token counts of an answer.
struct AnswerUsage {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_tokens = 0;  // of the prompt's
  std::uint32_t completion_tokens = 0;
  std::uint32_t total_tokens = 0;  // as told, else the sum of prompt and completion
  friend bool operator==(const AnswerUsage&, const AnswerUsage&) = default;
};

/// Counts of which some are not known yet.
struct PartialUsage {
  std::optional<std::uint32_t> prompt_tokens;
  std::optional<std::uint32_t> cached_tokens;
  std::optional<std::uint32_t> completion_tokens;
  std::optional<std::uint32_t> total_tokens;

  void take(const PartialUsage& newer) noexcept;  // what it knows replaces
  void add(const PartialUsage& older) noexcept;   // what is not known is taken from it
  /// Nothing unless prompt or completion is known.
  [[nodiscard]] std::optional<AnswerUsage> finish() const noexcept;
};

/// Finds the counts of a JSON answer or of one or more SSE events by looking from the end, without parsing the rest:
/// the last `"usage": {...}` (OpenAI's, also inside `response`; Anthropic's) or `"meta_info": {...}` (SGLang's), and,
/// as long as nothing tells the prompt, those before it, as Anthropic's message_start. Nothing if there is none. For
/// reports, not for decisions: an object of another meaning with such a name may fool it only if the answer carries no
/// counts itself; strings cannot.
[[nodiscard]] std::optional<AnswerUsage> find_usage(std::string_view json);

/// Reads all counts of a text in their order into `usage`; later ones replace earlier ones. Returns where the text ends
/// in the middle of something that may become counts: the text from there on, with what follows it, is to be read
/// again. At most kUsageBytesMax before the end.
[[nodiscard]] std::size_t read_usage(std::string_view text, PartialUsage& usage);
inline constexpr std::size_t kUsageBytesMax = 65'536;  // of one object of counts: SGLang's may hold log probabilities

}  // namespace llmd::openai
