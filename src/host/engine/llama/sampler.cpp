#include "engine/llama/sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace llmd::engine {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
/// Tokens this many nats (after temperature) below the best one weigh less than 1e-13 of it: all of a large vocabulary
/// together less than the rounding of the rest.
constexpr float kNatsMax = 30.0F;
constexpr std::size_t kBins = 240;  // of the histogram over those nats

/// exp(x) for x <= 0, within 2e-7 relative. Branch-free, so that the compiler makes a vector loop of it.
float exp_below_one(float x) noexcept {
  const float clamped = x < -80.0F ? -80.0F : x;
  const float power = clamped * 1.44269504F;
  const float whole = (power + 12582912.0F) - 12582912.0F;  // to the nearest integer, by the float's own precision
  const float part = power - whole;
  float value = 1.33985e-3F;
  value = value * part + 9.67770e-3F;
  value = value * part + 5.55034e-2F;
  value = value * part + 2.40226e-1F;
  value = value * part + 6.93147e-1F;
  value = value * part + 1.0F;
  return value * std::bit_cast<float>((static_cast<std::int32_t>(whole) + 127) << 23);
}

float highest_logit(std::span<const float> logits) noexcept {
  constexpr std::size_t kLanes = 16;
  std::array<float, kLanes> best;
  best.fill(kNever);
  std::size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      best[lane] = logits[i + lane] > best[lane] ? logits[i + lane] : best[lane];
  }
  float highest = kNever;
  for (const float value : best) highest = value > highest ? value : highest;
  for (; i < logits.size(); ++i) highest = logits[i] > highest ? logits[i] : highest;
  return highest;
}

bool better(const SamplerScratch::Kept& a, const SamplerScratch::Kept& b) noexcept {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

double total_weight(const std::vector<SamplerScratch::Kept>& kept) noexcept {
  double total = 0;
  for (const auto& candidate : kept) total += candidate.weight;
  return total;
}

/// Cuts after the first candidates whose weights reach `share` of the total.
void cut_at_share(std::vector<SamplerScratch::Kept>& kept, float share) {
  const double wanted = total_weight(kept) * static_cast<double>(share);
  double sum = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    sum += kept[i].weight;
    if (sum >= wanted) return kept.resize(i + 1);
  }
}

}  // namespace

std::optional<TokenId> argmax(std::span<const float> logits) noexcept {
  const float highest = highest_logit(logits);
  if (highest == kNever) return {};
  const auto at = std::find(logits.begin(), logits.end(), highest);
  return static_cast<TokenId>(at - logits.begin());
}

double log_sum_exp(std::span<const float> logits) noexcept {
  const float highest = highest_logit(logits);
  if (highest == kNever) return highest;
  double sum = 0;
  constexpr std::size_t kPiece = 256;
  for (std::size_t at = 0; at < logits.size(); at += kPiece) {
    float part = 0;
    for (const float logit : logits.subspan(at, std::min(kPiece, logits.size() - at)))
      part += exp_below_one(logit - highest);
    sum += static_cast<double>(part);
  }
  return static_cast<double>(highest) + std::log(sum);
}

TokenChances chances_of(std::span<const float> logits, TokenId token, std::size_t count) {
  const double total = log_sum_exp(logits);
  const auto logprob_of = [&](float logit) { return static_cast<float>(static_cast<double>(logit) - total); };
  std::vector<Logprob> best;
  const auto above = [](const Logprob& a, const Logprob& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  };
  for (std::size_t i = 0; count > 0 && i < logits.size(); ++i) {
    if (best.size() == count && !(logits[i] > best.back().second)) continue;
    const Logprob entry{static_cast<TokenId>(i), logits[i]};
    best.insert(std::upper_bound(best.begin(), best.end(), entry, above), entry);
    if (best.size() > count) best.pop_back();
  }
  for (Logprob& entry : best) entry.second = logprob_of(entry.second);
  return {.logprob = logprob_of(logits[static_cast<std::size_t>(token)]), .top = std::move(best)};
}

Sampler::Sampler(Options options, std::span<const TokenId> prompt) : options_{std::move(options)}, rng_{options_.seed} {
  if (options_.params.repetition_penalty != 1.0F) seen_.insert(prompt.begin(), prompt.end());
}

bool Sampler::ends_generation(TokenId token) const noexcept {
  return std::find(options_.ends.begin(), options_.ends.end(), token) != options_.ends.end();
}

bool Sampler::ends_forbidden() const noexcept {
  return options_.params.ignore_eos || made_ < options_.params.min_tokens;
}

bool Sampler::adjusts() const noexcept {
  const SamplingParams& params = options_.params;
  return !params.logit_bias.empty() || ends_forbidden() || params.repetition_penalty != 1.0F ||
         params.frequency_penalty != 0.0F || params.presence_penalty != 0.0F;
}

void Sampler::adjust(std::span<float> logits) const {
  const SamplingParams& params = options_.params;
  const auto in_range = [&](TokenId token) { return token >= 0 && static_cast<std::size_t>(token) < logits.size(); };
  for (const auto& [token, bias] : params.logit_bias) {
    if (in_range(token)) logits[static_cast<std::size_t>(token)] += bias;
  }
  if (ends_forbidden()) {
    for (const TokenId token : options_.ends) logits[static_cast<std::size_t>(token)] = kNever;
  }
  for (const TokenId token : seen_) {
    if (!in_range(token)) continue;
    float& logit = logits[static_cast<std::size_t>(token)];
    logit = logit > 0 ? logit / params.repetition_penalty : logit * params.repetition_penalty;
  }
  for (const auto& [token, count] : output_counts_) {
    logits[static_cast<std::size_t>(token)] -=
        static_cast<float>(count) * params.frequency_penalty + params.presence_penalty;
  }
}

Result<Sampler::Choice> Sampler::next(std::span<const float> logits, SamplerScratch& scratch) {
  if (highest_logit(logits) == kNever) return fail(ErrorCode::kInternal, "the model's logits hold no number");
  std::span<const float> adjusted = logits;
  if (adjusts()) {
    scratch.logits.assign(logits.begin(), logits.end());
    adjust(scratch.logits);
    adjusted = scratch.logits;
  }
  Choice choice{.token = choose(adjusted, scratch)};
  if (options_.grammar && (!choice.token || !options_.grammar->allows(*choice.token)))
    choice.token = choose_allowed(adjusted, scratch);
  if (!choice.token) return choice;
  LLMD_TRY_VOID(accept(*choice.token));
  if (options_.params.top_logprobs) {
    TokenChances chances = chances_of(logits, *choice.token, *options_.params.top_logprobs);
    choice.logprob = chances.logprob;
    choice.top = std::move(chances.top);
  }
  return choice;
}

Result<void> Sampler::accept(TokenId token) {
  ++made_;
  const SamplingParams& params = options_.params;
  if (params.frequency_penalty != 0.0F || params.presence_penalty != 0.0F) ++output_counts_[token];
  if (params.repetition_penalty != 1.0F) seen_.insert(token);
  if (options_.grammar) LLMD_TRY_VOID(options_.grammar->accept(token));
  return {};
}

std::optional<TokenId> Sampler::choose(std::span<const float> logits, SamplerScratch& scratch) {
  const SamplingParams& params = options_.params;
  if (params.temperature <= 0.0F) return argmax(logits);
  const float highest = highest_logit(logits);
  if (highest == kNever) return {};
  const bool cuts = params.top_k > 0 || params.top_p < 1.0F || params.min_p > 0.0F || params.typical_p < 1.0F;
  if (!cuts) return draw_any(logits, highest, scratch);
  keep_likely(logits, highest, scratch.kept);
  if (params.typical_p < 1.0F) keep_typical(scratch.kept);
  return draw_kept(scratch.kept);
}

/// The slow way: the grammar looks at every token.
std::optional<TokenId> Sampler::choose_allowed(std::span<const float> logits, SamplerScratch& scratch) {
  scratch.candidates.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] != kNever) scratch.candidates.push_back({static_cast<TokenId>(i), logits[i]});
  }
  options_.grammar->mask(scratch.candidates);
  if (scratch.logits.size() != logits.size()) scratch.logits.resize(logits.size());
  std::fill(scratch.logits.begin(), scratch.logits.end(), kNever);
  for (const llamacpp::Candidate& candidate : scratch.candidates)
    scratch.logits[static_cast<std::size_t>(candidate.token)] = candidate.logit;
  return choose(scratch.logits, scratch);
}

/// From the whole distribution.
TokenId Sampler::draw_any(std::span<const float> logits, float highest, SamplerScratch& scratch) {
  constexpr std::size_t kPiece = 256;
  const float scale = 1.0F / options_.params.temperature;
  scratch.weights.resize(logits.size());
  std::vector<float>& weights = scratch.weights;
  for (std::size_t i = 0; i < logits.size(); ++i) weights[i] = exp_below_one((logits[i] - highest) * scale);
  double total = 0;
  for (std::size_t at = 0; at < weights.size(); at += kPiece) {
    float part = 0;
    for (std::size_t i = at; i < std::min(weights.size(), at + kPiece); ++i) part += weights[i];
    total += static_cast<double>(part);
  }
  double left = rng_.uniform() * total;
  TokenId last = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (logits[i] == kNever) continue;
    last = static_cast<TokenId>(i);
    left -= static_cast<double>(weights[i]);
    if (left < 0) break;
  }
  return last;
}

/// min_p, top_k and top_p. A histogram over the distance to the best token tells how far down they can reach; only what
/// lies above is sorted.
void Sampler::keep_likely(std::span<const float> logits, float highest, std::vector<SamplerScratch::Kept>& kept) const {
  const SamplingParams& params = options_.params;
  const float scale = 1.0F / params.temperature;
  const float nats_max = params.min_p > 0.0F ? std::min(kNatsMax, -std::log(params.min_p)) : kNatsMax;
  constexpr float kBinsPerNat = kBins / kNatsMax;
  std::array<double, kBins + 1> mass{};
  std::array<std::size_t, kBins + 1> count{};
  for (const float logit : logits) {
    const float nats = (highest - logit) * scale;
    if (!(nats <= nats_max)) continue;
    const auto bin = static_cast<std::size_t>(nats * kBinsPerNat);
    mass[bin] += static_cast<double>(exp_below_one(-nats));
    ++count[bin];
  }
  const std::size_t k = params.top_k > 0 ? static_cast<std::size_t>(params.top_k) : logits.size();
  double total = 0;
  for (const double part : mass) total += part;
  // With top_k the share is of what top_k keeps, which is less: then only the count may cut here.
  const double wanted = params.top_k > 0 ? total : total * static_cast<double>(params.top_p);
  std::size_t last_bin = 0;
  std::size_t seen = count[0];
  double sum = mass[0];
  while (last_bin < kBins && seen < k && sum < wanted) {
    ++last_bin;
    seen += count[last_bin];
    sum += mass[last_bin];
  }
  kept.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const float nats = (highest - logits[i]) * scale;
    if (!(nats <= nats_max) || static_cast<std::size_t>(nats * kBinsPerNat) > last_bin) continue;
    kept.push_back({static_cast<TokenId>(i), logits[i], static_cast<double>(exp_below_one(-nats))});
  }
  std::sort(kept.begin(), kept.end(), better);
  if (kept.size() > k) kept.resize(k);
  if (params.top_p >= 1.0F) return;
  if (params.top_k > 0) return cut_at_share(kept, params.top_p);
  double reached = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    reached += kept[i].weight;
    if (reached >= wanted) return kept.resize(i + 1);
  }
}

/// Locally typical sampling (Meister et al. 2022): tokens whose surprise is nearest to the expected one, up to a share.
void Sampler::keep_typical(std::vector<SamplerScratch::Kept>& kept) const {
  const double total = total_weight(kept);
  double entropy = 0;
  for (const auto& candidate : kept) {
    const double p = candidate.weight / total;
    if (p > 0) entropy -= p * std::log(p);
  }
  const auto distance = [&](const SamplerScratch::Kept& candidate) {
    return std::abs(-std::log(candidate.weight / total) - entropy);
  };
  std::sort(kept.begin(), kept.end(), [&](const auto& a, const auto& b) {
    const double to_a = distance(a);
    const double to_b = distance(b);
    return to_a != to_b ? to_a < to_b : better(a, b);
  });
  cut_at_share(kept, options_.params.typical_p);
}

TokenId Sampler::draw_kept(std::vector<SamplerScratch::Kept>& kept) {
  double left = rng_.uniform() * total_weight(kept);
  for (const auto& candidate : kept) {
    left -= candidate.weight;
    if (left < 0) return candidate.token;
  }
  return kept.back().token;
}

}  // namespace llmd::engine
