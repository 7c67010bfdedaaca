#pragma once

#include "api/openai/field.h"
#include "api/openai/generation_request.h"

namespace llmd::openai {

/// Internal: reads what chat and text completions share, one field at a time, then checks fields against each other.
class GenerationReader {
 public:
  explicit GenerationReader(GenerationRequest& request) noexcept : request_{request} {}
  /// Unknown names are ignored; null counts as absent.
  [[nodiscard]] Result<void> read(std::string_view field, Element value);
  [[nodiscard]] Result<void> finish();

  // What finish() needs beside the request.
  struct Seen {
    std::optional<std::int64_t> best_of;
    std::optional<std::uint32_t> max_tokens;
    std::optional<std::uint32_t> max_completion_tokens;
    std::int64_t max_tokens_min = 1;  // 0 where an echo alone is allowed
    std::uint32_t constraints = 0;
    bool stream_options = false;
  };
  [[nodiscard]] GenerationRequest& request() noexcept { return request_; }
  [[nodiscard]] Seen& seen() noexcept { return seen_; }

 private:
  GenerationRequest& request_;
  Seen seen_;
};

}  // namespace llmd::openai
