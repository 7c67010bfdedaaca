#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace llmd::batching {

struct StepBudgetOptions {
  /// Mean time of a step while sequences decode: their time between tokens. 0: `stretch` times a step without prompts,
  /// at least `floor_ms`, so that a slow model still computes prompts in pieces worth their cost.
  double target_ms = 0;
  double stretch = 1.75;
  double floor_ms = 16;
  double share_min = 0.25;  // of a decoding step's time, for prompts, even if the target leaves none
  double saved_max = 4;     // targets; what steps without prompts leave for later is bounded by it
  std::uint32_t prefill_min =
      64;  // tokens of a piece: a smaller one costs nearly as much, for the weights are read anew
};

/// Learns what steps cost, and says how many prompt tokens one may compute beside the sequences that decode. With one
/// token budget for all steps, each decoding sequence gets the longest step there is; here steps without prompts save
/// time until a piece of a prompt is paid for, so that the mean time between tokens is the target. Pure: the caller
/// measures.
class StepBudget {
 public:
  explicit StepBudget(const StepBudgetOptions& options) : options_{options} {}

  /// A step of so many tokens took `ms`.
  void observe(std::uint32_t decode_tokens, std::uint32_t prefill_tokens, double ms) noexcept;

  /// Prompt tokens for a step in which so many sequences decode and so many prompt tokens are yet to be computed: 0, or
  /// at least the smaller of `pending` and prefill_min. No limit if none decodes.
  [[nodiscard]] std::uint32_t prefill_tokens(std::uint32_t decode_tokens, std::uint64_t pending) const noexcept;

 private:
  static constexpr std::size_t kSizes = 16;  // of decode batches, by powers of two

  [[nodiscard]] double decode_ms(std::uint32_t decode_tokens) const noexcept;
  [[nodiscard]] double target_ms(std::uint32_t decode_tokens) const noexcept;
  /// What a step leaves for prompts.
  [[nodiscard]] double earned_ms(std::uint32_t decode_tokens) const noexcept;

  StepBudgetOptions options_;
  std::array<double, kSizes> decode_ms_{};  // of a step without prompts; 0: not seen
  double prefill_ms_ = 0;                   // a token, beyond what the step's decoding costs; 0: not seen
  double saved_ms_ = 0;                     // for prompts; below 0: a piece took more than was there
};

}  // namespace llmd::batching
