#include "apps/sim/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include "base/rng.h"
#include "config/hardware_profile.h"
#include "net/address.h"

namespace llmd::sim {
namespace {

using simulation::CostSample;
using simulation::HardwareProfile;

constexpr std::uint32_t kLengths[] = {24, 96, 256, 512, 1'024, 2'048};  // of prompts, about
struct Batch {
  std::uint32_t sequences;
  std::uint32_t length;  // one of kLengths
};
constexpr Batch kBatches[] = {{1, 24}, {2, 24}, {4, 24}, {8, 24}, {1, 512}, {4, 512}, {1, 2'048}, {2, 1'024}};
constexpr std::uint32_t kAnswerTokens = 40;
constexpr std::size_t kIntervalsMin = 6;    // of a sequence, for its decoding to count
constexpr double kLongestShare = 1.0 / 15;  // of the time that one prompt may take
constexpr std::uint32_t kUnknownContext = 4'096;

/// One prompt as it was measured; steps are known when all is done.
struct PromptTime {
  CostSample::Kind kind = CostSample::Kind::kPrompt;
  double seconds = 0;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_tokens = 0;
};

/// One calibration under way.
class Calibrator {
 public:
  Calibrator(ProbeTarget target, EndpointFacts facts, seconds time)
      : target_{target},
        facts_{std::move(facts)},
        prober_{std::move(target)},
        began_{SteadyClock::now()},
        deadline_{began_ + time} {}

  Result<void> run(const std::function<void(std::string_view)>& progress);
  [[nodiscard]] Result<simulation::ProfileFit> fit() const;
  [[nodiscard]] double seconds_taken() const { return to_seconds(SteadyClock::now() - began_); }

 private:
  Result<void> begin();
  Result<void> round();
  Result<void> measure_prompt(std::uint32_t length);
  Result<void> measure_batch(Batch batch);
  [[nodiscard]] std::string text_of(std::uint32_t tokens);
  [[nodiscard]] bool fits(std::uint32_t length) const;
  void note_prompt(CostSample::Kind kind, const ProbeAnswer& answer);
  [[nodiscard]] HardwareProfile base() const;
  [[nodiscard]] bool has_enough() const;

  const ProbeTarget target_;
  EndpointFacts facts_;
  Prober prober_;
  const TimePoint began_;
  const TimePoint deadline_;
  Rng rng_{static_cast<std::uint64_t>(began_.time_since_epoch().count())};  // no prompt of a run before comes again
  double tokens_per_word_ = 3;
  std::uint32_t longest_ = kLengths[std::size(kLengths) - 1];
  std::uint32_t chunk_ = 0;                     // prompt tokens of a step; 0: unknown
  std::map<std::uint32_t, std::string> texts_;  // the last prompt of each length: computed, so in the cache
  std::vector<PromptTime> prompts_;
  std::vector<CostSample> decodes_;
};

std::string Calibrator::text_of(std::uint32_t tokens) {
  const auto words = std::max(1.0, std::round(tokens / tokens_per_word_));
  std::string text;
  for (double i = 0; i < words; ++i) text += fmt::format("{}{:x}", i == 0 ? "" : " ", rng_.below(0xffff));
  return text;
}

/// Warms the endpoint up, learns how long words are, and how many tokens a step takes.
Result<void> Calibrator::begin() {
  constexpr std::uint32_t kWords = 64;
  tokens_per_word_ = 1;
  LLMD_TRY(const auto first, prober_.ask({{.prompt = text_of(kWords), .max_tokens = 8}}, deadline_));
  tokens_per_word_ = std::max(0.1, static_cast<double>(first.front().prompt_tokens) / kWords);
  const double per_token = to_seconds(first.front().tokens.front() - first.front().sent) / first.front().prompt_tokens;
  const double most = to_seconds(deadline_ - began_) * kLongestShare / per_token;
  const std::uint32_t context = facts_.context_tokens > 0 ? facts_.context_tokens : kUnknownContext;
  longest_ = static_cast<std::uint32_t>(std::min<double>({most, context / 2.0, longest_ * 1.0}));
  // The longest of the lengths tells best how many steps a prompt takes.
  std::uint32_t length = kLengths[0];
  for (const std::uint32_t each : kLengths) length = fits(each) ? each : length;
  if (!facts_.steps) return {};
  LLMD_TRY(const EndpointFacts before, fetch_facts(target_));
  LLMD_TRY(const auto answers, prober_.ask({{.prompt = text_of(length), .max_tokens = 1}}, deadline_));
  LLMD_TRY(const EndpointFacts after, fetch_facts(target_));
  if (before.steps && after.steps) chunk_ = chunk_of(answers.front().prompt_tokens, *after.steps - *before.steps);
  return {};
}

bool Calibrator::fits(std::uint32_t length) const { return length == kLengths[0] || length <= longest_; }

void Calibrator::note_prompt(CostSample::Kind kind, const ProbeAnswer& answer) {
  prompts_.push_back({.kind = kind,
                      .seconds = to_seconds(answer.tokens.front() - answer.sent),
                      .prompt_tokens = answer.prompt_tokens,
                      .cached_tokens = std::min(answer.cached_tokens, answer.prompt_tokens)});
}

Result<void> Calibrator::measure_prompt(std::uint32_t length) {
  std::string& text = texts_[length] = text_of(length);
  LLMD_TRY(const auto answers, prober_.ask({{.prompt = text, .max_tokens = 1}}, deadline_));
  note_prompt(CostSample::Kind::kPrompt, answers.front());
  return {};
}

Result<void> Calibrator::measure_batch(Batch batch) {
  const std::vector<Probe> probes(batch.sequences, Probe{.prompt = texts_[batch.length], .max_tokens = kAnswerTokens});
  LLMD_TRY(const auto answers, prober_.ask(probes, deadline_));
  if (batch.sequences == 1) note_prompt(CostSample::Kind::kCachedPrompt, answers.front());
  if (const auto sample = decode_sample(answers)) decodes_.push_back(*sample);
  return {};
}

Result<void> Calibrator::round() {
  for (const std::uint32_t length : kLengths) {
    if (!fits(length)) continue;
    LLMD_TRY_VOID(measure_prompt(length));
    for (const Batch& batch : kBatches) {
      if (batch.length != length) continue;
      LLMD_TRY_VOID(measure_batch(batch));
    }
  }
  return {};
}

bool Calibrator::has_enough() const {
  const auto decodes_together = [](const CostSample& sample) { return sample.decode_sequences > 1; };
  return prompts_.size() >= 4 && decodes_.size() >= 2 && std::ranges::any_of(decodes_, decodes_together);
}

Result<void> Calibrator::run(const std::function<void(std::string_view)>& progress) {
  Result<void> ran = begin();
  for (int number = 1; ran; ++number) {
    ran = round();
    progress(fmt::format("round {}: {} prompts and {} decodings measured, {:.0f} s", number, prompts_.size(),
                         decodes_.size(), seconds_taken()));
  }
  if (ran.error().code != ErrorCode::kDeadlineExceeded) return ran;
  if (has_enough()) return {};
  return fail(ErrorCode::kDeadlineExceeded, "the endpoint is too slow to be measured in this time",
              "give more --seconds");
}

/// All that is not fitted.
HardwareProfile Calibrator::base() const {
  HardwareProfile profile;
  profile.name = facts_.model;
  std::erase_if(profile.name, [](char c) { return c < ' ' || c > '~' || c == '"' || c == '\\'; });
  profile.llama_steps = facts_.llama_steps;
  if (facts_.block_tokens > 0) profile.batching.block_tokens = facts_.block_tokens;
  if (facts_.store_tokens > 0)
    profile.store_tokens = std::min<std::uint64_t>(facts_.store_tokens, config::kProfileTokensMax);
  if (chunk_ > 0) {
    profile.batching.step_tokens_max = std::min(chunk_, config::kProfileTokensMax);
    profile.batching.prefill_chunk_max = profile.batching.step_tokens_max;
  }
  if (!facts_.slots.empty()) {
    profile.batching.classes = facts_.slots;
  } else if (facts_.kv_tokens > 0 && facts_.context_tokens > 0) {
    // Paged KV has no slots: a third of it each for short, middling and the longest sequences.
    profile.batching.classes.clear();
    for (const std::uint32_t part : {16U, 4U, 1U}) {
      const std::uint32_t tokens = std::clamp(facts_.context_tokens / part, 1U, config::kProfileTokensMax);
      if (!profile.batching.classes.empty() && profile.batching.classes.back().tokens_max >= tokens) continue;
      const std::uint64_t slots = std::clamp<std::uint64_t>(facts_.kv_tokens / 3 / tokens, 1, 256);
      profile.batching.classes.push_back({static_cast<std::uint32_t>(slots), tokens});
    }
  }
  return profile;
}

Result<simulation::ProfileFit> Calibrator::fit() const {
  const HardwareProfile known = base();
  std::vector<CostSample> samples = decodes_;
  for (const PromptTime& prompt : prompts_) {
    const double computed = std::max(1.0, static_cast<double>(prompt.prompt_tokens) - prompt.cached_tokens);
    samples.push_back({.kind = prompt.kind,
                       .seconds = prompt.seconds,
                       .steps = std::ceil(computed / known.batching.prefill_chunk_max),
                       .prefill_tokens = computed,
                       .prefill_kilotokens = computed * (prompt.cached_tokens + computed / 2) / 1'000,
                       .restored_tokens = static_cast<double>(prompt.cached_tokens),
                       .requests = 1});
  }
  return simulation::fit_profile(samples, known);
}

}  // namespace

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

Result<Calibration> calibrate(const CalibrateOptions& options, const std::function<void(std::string_view)>& progress) {
  ProbeTarget target{.model = options.model,
                     .authorization = options.api_key.empty() ? std::string{} : "Bearer " + options.api_key};
  LLMD_TRY(target.address, net::Address::parse(options.url));
  LLMD_TRY(EndpointFacts facts, fetch_facts(target));
  target.model = facts.model;
  Calibrator calibrator{target, facts, options.time};
  LLMD_TRY_VOID(calibrator.run(progress));
  LLMD_TRY(simulation::ProfileFit fit, calibrator.fit());
  return Calibration{.fit = std::move(fit),
                     .facts = std::move(facts),
                     .url = target.address.to_string(),
                     .seconds_taken = calibrator.seconds_taken()};
}

Result<std::string> calibration_file(const Calibration& calibration) {
  const simulation::ProfileFit& fit = calibration.fit;
  std::string text = fmt::format("# llmd sim calibrate {}: {} measurements in {:.0f} s, {} of them left out.\n",
                                 calibration.url, fit.samples, calibration.seconds_taken, fit.left_out);
  text += "# How far the fit is from the rest, median and 90th percentile:";
  constexpr std::string_view kNames[] = {"prompts", "cached prompts", "decoding"};
  for (std::size_t kind = 0; kind < simulation::kCostSampleKinds; ++kind) {
    text += fmt::format("{} {} {:.1f} % and {:.1f} %", kind == 0 ? "" : ",", kNames[kind], fit.error_median[kind] * 100,
                        fit.error_p90[kind] * 100);
  }
  text += ".\n# Not measured: start, transfers, and what waits at most.\n";
  text += config::hardware_profile_yaml(fit.profile);
  if (const auto read = config::parse_hardware_profile(text, "the profile"); !read)
    return fail(ErrorCode::kUpstreamFailed, "what was measured is beyond a profile: " + read.error().what);
  return text;
}

}  // namespace llmd::sim
