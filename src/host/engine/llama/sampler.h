#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "base/rng.h"
#include "llamacpp/grammar.h"
#include "model/generation.h"

namespace llmd::engine {

/// The natural logarithm of a token's probability.
using Logprob = std::pair<TokenId, float>;

/// Log of the sum of exp over all logits: logprob(token) = logit - that.
[[nodiscard]] double log_sum_exp(std::span<const float> logits) noexcept;
/// The logprob of `token` and the `count` best tokens with theirs, best first; equal logits in order of ids. About
/// 100 us for a vocabulary of 50,000. Pre: `token` is one of the vocabulary.
struct TokenChances {
  float logprob = 0;
  std::vector<Logprob> top;
};
[[nodiscard]] TokenChances chances_of(std::span<const float> logits, TokenId token, std::size_t count);
/// Index of the largest logit, the first of equals; none if all are NaN or minus infinity.
[[nodiscard]] std::optional<TokenId> argmax(std::span<const float> logits) noexcept;

/// Scratch memory of samplers, one for a thread.
struct SamplerScratch {
  std::vector<float> logits;
  std::vector<float> weights;
  struct Kept {
    TokenId token;
    float logit;
    double weight;
  };
  std::vector<Kept> kept;
  std::vector<llamacpp::Candidate> candidates;
};

/// Chooses the tokens of one sequence. Its randomness is its own (seed), so that what shares the batch plays no part.
///
/// Order: logit_bias and forbidden ends, repetition, frequency and presence penalties, temperature, min_p, top_k,
/// top_p, typical_p, and the grammar last: a choice that the grammar forbids is made again among what it allows.
/// (vLLM's order, typical_p added.) Repetition counts prompt and output, frequency and presence the output. Logprobs
/// are those of the model itself, before all this.
///
/// Cost for a vocabulary of 50,000: greedy 10 us, sampled 100-200 us, no full sort in any case; not thread-safe.
class Sampler {
 public:
  struct Options {
    SamplingParams params;
    std::uint64_t seed = 0;
    std::unique_ptr<llamacpp::Grammar> grammar;  // null: none
    std::vector<TokenId> ends;                   // tokens that end generation
  };
  /// `prompt` is read now only.
  Sampler(Options options, std::span<const TokenId> prompt);

  struct Choice {
    std::optional<TokenId> token;  // none: the grammar leaves nothing, the output ends here
    std::optional<float> logprob;  // if asked for
    std::vector<Logprob> top;      // best first
  };
  /// The next token. Errors: kInternal (the logits hold no number), kInvalidGrammar.
  [[nodiscard]] Result<Choice> next(std::span<const float> logits, SamplerScratch& scratch);

  [[nodiscard]] bool ends_generation(TokenId token) const noexcept;

 private:
  [[nodiscard]] bool ends_forbidden() const noexcept;
  [[nodiscard]] bool adjusts() const noexcept;
  void adjust(std::span<float> logits) const;
  [[nodiscard]] std::optional<TokenId> choose(std::span<const float> logits, SamplerScratch& scratch);
  [[nodiscard]] std::optional<TokenId> choose_allowed(std::span<const float> logits, SamplerScratch& scratch);
  [[nodiscard]] TokenId draw_any(std::span<const float> logits, float highest, SamplerScratch& scratch);
  [[nodiscard]] TokenId draw_kept(std::vector<SamplerScratch::Kept>& kept);
  void keep_likely(std::span<const float> logits, float highest, std::vector<SamplerScratch::Kept>& kept) const;
  void keep_typical(std::vector<SamplerScratch::Kept>& kept) const;
  Result<void> accept(TokenId token);

  Options options_;
  Rng rng_;
  std::unordered_map<TokenId, std::uint32_t> output_counts_;
  std::unordered_set<TokenId> seen_;  // prompt and output, for the repetition penalty
  std::uint32_t made_ = 0;
};

}  // namespace llmd::engine
