#pragma once

#include <cstdint>
#include <string>

#include "base/rng.h"

namespace llmd::sim {

/// Prompts of which no endpoint has anything in its cache: words drawn anew each time, and for each seed.
class ProbeTexts {
 public:
  explicit ProbeTexts(std::uint64_t seed, double tokens_per_word = 1) noexcept
      : rng_{seed}, tokens_per_word_{tokens_per_word} {}

  /// About so many tokens, at least a word.
  [[nodiscard]] std::string text_of(std::uint32_t tokens);
  /// What the endpoint's tokenizer makes of these words. Above 0.
  void set_tokens_per_word(double tokens) noexcept { tokens_per_word_ = tokens; }
  [[nodiscard]] double tokens_per_word() const noexcept { return tokens_per_word_; }

 private:
  Rng rng_;
  double tokens_per_word_;
};

/// One that no run before had.
[[nodiscard]] std::uint64_t fresh_seed();

}  // namespace llmd::sim
