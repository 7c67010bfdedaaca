#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace llmd {

/// A grammar that output must obey, as llama.cpp's GBNF. Empty: unconstrained.
struct GrammarSpec {
  std::string gbnf;
  bool lazy = false;                               // constrain only once a trigger was seen (tool_choice auto)
  std::vector<std::string> trigger_words;          // plain words
  std::vector<std::string> trigger_patterns;       // regular expressions, matched from a word's start
  std::vector<std::string> trigger_patterns_full;  // regular expressions over the whole output
  std::vector<TokenId> trigger_tokens;
  std::vector<TokenId> preserved_tokens;  // special tokens whose text reaches the output
  std::string generation_prompt;          // the part of the template's prompt that the grammar has already consumed
};

/// How the next token is chosen. Defaults are OpenAI's: plain sampling at temperature 1.
struct SamplingParams {
  float temperature = 1.0F;           // 0: greedy. 0..2
  float top_p = 1.0F;                 // (0, 1]
  std::int32_t top_k = 0;             // 0: off
  float min_p = 0.0F;                 // 0..1
  float typical_p = 1.0F;             // (0, 1]
  float repetition_penalty = 1.0F;    // > 0; 1: off
  float frequency_penalty = 0.0F;     // -2..2
  float presence_penalty = 0.0F;      // -2..2
  std::optional<std::uint64_t> seed;  // none: drawn anew
  bool ignore_eos = false;
  std::uint32_t min_tokens = 0;                       // no end of sequence before so many
  std::vector<std::pair<TokenId, float>> logit_bias;  // -100..100
  std::optional<std::uint32_t>
      top_logprobs;  // given: report the chosen token's logprob and so many alternatives (0..20)
  GrammarSpec grammar;
};

enum class FinishReason : std::uint8_t {
  kStop,       // end of sequence, or a stop string
  kLength,     // max_tokens or the end of the context
  kCancelled,  // the caller cancelled it
  kError,      // see the event's error
};

[[nodiscard]] std::string_view finish_reason_name(FinishReason reason) noexcept;

struct TokenLogprob {
  TokenId token = 0;
  std::string text;  // the token's own bytes, may be a part of a character
  float logprob = 0;
};

/// One token's logprob with its alternatives, best first.
struct TokenLogprobs {
  TokenLogprob chosen;
  std::vector<TokenLogprob> top;
};

}  // namespace llmd
