#include "batching/step_budget.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace llmd::batching {
namespace {

constexpr double kWeight = 0.1;         // of a new value in a mean
constexpr double kOutlier = 4;          // times the mean: a step that waited for memory or for a core counts no more
constexpr std::uint32_t kTelling = 16;  // fewer prompt tokens say little about the cost of one

void learn(double& mean, double value) noexcept {
  if (value <= 0) return;
  mean = mean == 0 ? value : mean + kWeight * (std::min(value, kOutlier * mean) - mean);
}

std::size_t size_of(std::uint32_t decode_tokens, std::size_t sizes) noexcept {
  return std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(decode_tokens)), sizes - 1);
}

}  // namespace

void StepBudget::observe(std::uint32_t decode_tokens, std::uint32_t prefill_tokens, double ms) noexcept {
  if (prefill_tokens == 0) {
    if (decode_tokens > 0) learn(decode_ms_[size_of(decode_tokens, kSizes)], ms);
  } else if (prefill_tokens >= kTelling) {
    learn(prefill_ms_, (ms - decode_ms(decode_tokens)) / prefill_tokens);
  }
  if (decode_tokens == 0) return;
  const double piece = prefill_ms_ * options_.prefill_min;
  const double bound = std::max(options_.saved_max * target_ms(decode_tokens), 2 * piece);
  saved_ms_ = std::clamp(saved_ms_ + earned_ms(decode_tokens) - prefill_ms_ * prefill_tokens, -bound, bound);
}

/// Of the nearest size that was seen; the smaller of two, which errs towards short steps.
double StepBudget::decode_ms(std::uint32_t decode_tokens) const noexcept {
  if (decode_tokens == 0) return 0;
  const std::size_t size = size_of(decode_tokens, kSizes);
  for (std::size_t away = 0; away < kSizes; ++away) {
    if (away <= size && decode_ms_[size - away] > 0) return decode_ms_[size - away];
    if (size + away < kSizes && decode_ms_[size + away] > 0) return decode_ms_[size + away];
  }
  return 0;
}

double StepBudget::target_ms(std::uint32_t decode_tokens) const noexcept {
  if (options_.target_ms > 0) return options_.target_ms;
  return std::max(options_.floor_ms, options_.stretch * decode_ms(decode_tokens));
}

double StepBudget::earned_ms(std::uint32_t decode_tokens) const noexcept {
  const double decode = decode_ms(decode_tokens);
  return std::max(target_ms(decode_tokens) - decode, options_.share_min * decode);
}

std::uint32_t StepBudget::prefill_tokens(std::uint32_t decode_tokens, std::uint64_t pending) const noexcept {
  if (decode_tokens == 0) return std::numeric_limits<std::uint32_t>::max();
  const auto piece = static_cast<std::uint32_t>(std::min<std::uint64_t>(options_.prefill_min, pending));
  if (prefill_ms_ == 0) return piece;
  constexpr double kMost = 1e9;
  const double tokens = std::clamp((saved_ms_ + earned_ms(decode_tokens)) / prefill_ms_, 0.0, kMost);
  return tokens < piece ? 0 : static_cast<std::uint32_t>(tokens);
}

}  // namespace llmd::batching
