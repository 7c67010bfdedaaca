#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llmd::sidecar {

/// The answer with usage.prompt_tokens_details.cached_tokens as the prefill endpoint counted it: the decode endpoint
/// counts what it was sent. Anything without usage, and what is no JSON object, stays as it is.
[[nodiscard]] std::string with_cached_tokens(std::string_view json, std::uint32_t cached_tokens);

/// Of usage.prompt_tokens_details.cached_tokens; 0 if it is not told. May grow the capacity of `json`.
[[nodiscard]] std::uint32_t cached_tokens_of(std::string& json);

/// The same for a stream of events, line by line as they come. A line beyond kLineBytesMax passes unchanged.
class CachedTokensStream {
 public:
  explicit CachedTokensStream(std::uint32_t cached_tokens) noexcept : cached_tokens_{cached_tokens} {}

  static constexpr std::size_t kLineBytesMax = std::size_t{1} << 20U;

  /// What can go on of `piece` and what was held. Valid until the next call.
  [[nodiscard]] std::string_view feed(std::string_view piece);
  /// What is held, when no more comes.
  [[nodiscard]] std::string_view finish();

 private:
  void append_line(std::string_view line);

  std::uint32_t cached_tokens_;
  std::string held_;  // the begin of a line
  std::string ready_;
  bool passes_ = false;  // within a line that is too long
};

}  // namespace llmd::sidecar
