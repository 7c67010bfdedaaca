#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace llmd::engine {

/// What simulated answers are made of: a few words of one token each. Token number i of an answer follows from the
/// answer's seed and i alone, so nothing of it is kept. Immutable.
class AnswerWords {
 public:
  struct Word {
    TokenId token = 0;
    std::string text;
  };

  /// The words that an answer can have, for a tokenizer to give each its token. Each is 4 bytes of ASCII.
  [[nodiscard]] static std::vector<std::string_view> texts();

  /// Pre: not empty.
  explicit AnswerWords(std::vector<Word> words) : words_{std::move(words)} {}

  [[nodiscard]] const Word& at(std::uint64_t seed, std::uint32_t index) const noexcept;

 private:
  std::vector<Word> words_;
};

}  // namespace llmd::engine
