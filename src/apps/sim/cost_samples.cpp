#include "apps/sim/cost_samples.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>

namespace llmd::sim {
namespace {

using simulation::CostSample;

constexpr std::size_t kIntervalsMin = 6;  // of a sequence, for its decoding to count

}  // namespace

CostSample prompt_sample(CostSample::Kind kind, const ProbeAnswer& answer, std::uint32_t chunk) {
  const std::uint32_t cached = std::min(answer.cached_tokens, answer.prompt_tokens);
  const double computed = std::max(1.0, static_cast<double>(answer.prompt_tokens) - cached);
  return {.kind = kind,
          .seconds = to_seconds(answer.tokens.front() - answer.sent),
          .steps = std::ceil(computed / chunk),
          .prefill_tokens = computed,
          .prefill_kilotokens = computed * (cached + computed / 2) / 1'000,
          .restored_tokens = static_cast<double>(cached),
          .requests = 1};
}

std::optional<CostSample> decode_sample(const std::vector<ProbeAnswer>& answers) {
  TimePoint from = TimePoint::min();
  TimePoint to = TimePoint::max();
  for (const ProbeAnswer& answer : answers) {
    if (answer.tokens.empty()) return {};
    from = std::max(from, answer.tokens.front());
    to = std::min(to, answer.tokens.back());
  }
  double time = 0;
  double intervals = 0;
  CostSample sample{.kind = CostSample::Kind::kDecode};
  for (const ProbeAnswer& answer : answers) {
    const auto first = std::ranges::lower_bound(answer.tokens, from);
    const auto last = std::ranges::upper_bound(answer.tokens, to);
    if (last - first < static_cast<std::ptrdiff_t>(kIntervalsMin) + 1) return {};
    time += to_seconds(*std::prev(last) - *first);
    intervals += static_cast<double>(last - first - 1);
    const double middle = static_cast<double>((first - answer.tokens.begin()) + (last - answer.tokens.begin())) / 2;
    sample.decode_sequences += 1;
    sample.decode_kilotokens += (answer.prompt_tokens + middle) / 1'000;
  }
  sample.seconds = time / intervals;
  return sample;
}

std::uint32_t chunk_of(std::uint32_t tokens, double steps) noexcept {
  if (!(steps >= 1) || steps > tokens) return 0;
  // Of the sizes that servers have the one that fits; one step tells only that the prompt is no longer than it.
  constexpr std::uint32_t kSizes[] = {64, 128, 256, 512, 1'024, 2'048, 4'096, 8'192};
  for (const std::uint32_t size : kSizes) {
    if (std::ceil(static_cast<double>(tokens) / size) == steps) return size;
  }
  return static_cast<std::uint32_t>(std::ceil(tokens / steps));
}

}  // namespace llmd::sim
