#include "apps/sim/contention.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "apps/sim/background_load.h"
#include "apps/sim/cost_samples.h"
#include "apps/sim/probe_texts.h"

namespace llmd::sim {
namespace {

using simulation::CostSample;

struct Part {
  std::uint32_t prompt_tokens;  // of a prompt that nothing is cached of
  std::uint32_t sequences;      // that then decode together after it
};
/// About 60 and 400 words of English.
constexpr Part kMix[] = {{.prompt_tokens = 80, .sequences = 1}, {.prompt_tokens = 512, .sequences = 4}};
constexpr std::uint32_t kAnswerTokens = 32;
constexpr std::uint32_t kBesideTokens = 256;  // of prompts beside: short, so that turns between the kinds are quick

Result<double> measure_pass(const SlownessOptions& options, Prober& prober, ProbeTexts& texts) {
  PassTime pass{options.profile};
  for (const Part& part : kMix) {
    const std::string text = texts.text_of(std::min(part.prompt_tokens, options.prompt_tokens_max));
    LLMD_TRY(const auto first, prober.ask({{.prompt = text, .max_tokens = 1}}, options.deadline));
    pass.add(prompt_sample(CostSample::Kind::kPrompt, first.front(), options.profile.batching.prefill_chunk_max));
    const std::vector<Probe> probes(part.sequences, Probe{.prompt = text, .max_tokens = kAnswerTokens});
    LLMD_TRY(const auto answers, prober.ask(probes, options.deadline));
    if (const auto sample = decode_sample(answers)) pass.add(*sample, kAnswerTokens - 1);
  }
  return pass.ratio();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

Result<Slowness> measure_slowness(const SlownessOptions& options,
                                  const std::function<void(std::string_view)>& progress) {
  using Kind = BackgroundLoad::Kind;
  Prober prober{options.target};
  ProbeTexts texts{fresh_seed(), options.tokens_per_word};
  BackgroundLoad load{options.busy,
                      {.prompt_tokens = std::min(kBesideTokens, options.prompt_tokens_max),
                       .tokens_per_word = options.tokens_per_word,
                       .deadline = options.deadline}};
  std::vector<double> beside_decoding;
  std::vector<double> beside_prompts;
  for (Kind kind = Kind::kDecoding;; kind = kind == Kind::kDecoding ? Kind::kPrompts : Kind::kDecoding) {
    load.turn_to(kind);
    const Result<double> pass = measure_pass(options, prober, texts);
    LLMD_TRY_VOID(load.check());  // beside an idle one nothing was measured
    if (!pass && pass.error().code != ErrorCode::kDeadlineExceeded) return std::unexpected(pass.error());
    if (!pass) break;
    (kind == Kind::kDecoding ? beside_decoding : beside_prompts).push_back(*pass);
    progress(fmt::format("beside {} busy with {}: {:.3f} times as long as predicted", options.busy.size(),
                         kind == Kind::kDecoding ? "decoding" : "prompts", *pass));
  }
  if (!beside_decoding.empty() && !beside_prompts.empty()) return slowness_of(beside_decoding, beside_prompts);
  return fail(ErrorCode::kDeadlineExceeded, "beside busy ones the endpoint is too slow to be measured in this time",
              "give more --seconds");
}

void PassTime::add(const CostSample& sample, double count) {
  measured_s_ += count * sample.seconds;
  predicted_s_ += count * simulation::predicted_seconds(sample, profile_);
}

Slowness slowness_of(const std::vector<double>& beside_decoding, const std::vector<double>& beside_prompts) {
  const auto [least, most] = std::ranges::minmax(beside_decoding);
  const auto [least_too, most_too] = std::ranges::minmax(beside_prompts);
  return {.times = (median(beside_decoding) + median(beside_prompts)) / 2,
          .least = std::min(least, least_too),
          .most = std::max(most, most_too),
          .passes = beside_decoding.size() + beside_prompts.size()};
}

double neighbour_slowdown(double times, std::size_t neighbours) noexcept {
  return std::max(0.0, (times - 1) / static_cast<double>(neighbours));
}

double sharing_slowdown(double times, const Sharers& sharers) noexcept {
  const double turns = static_cast<double>(sharers.on_this_core) + 1;
  const double neighbours = 1 + sharers.neighbour_slowdown * static_cast<double>(sharers.neighbours);
  return std::max(0.0, times / (turns * neighbours) - 1);
}

}  // namespace llmd::sim
