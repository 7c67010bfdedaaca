#include "apps/sim/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "apps/sim/cost_samples.h"
#include "apps/sim/probe_texts.h"
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
constexpr double kLongestShare = 1.0 / 15;  // of the time that one prompt may take
constexpr std::uint32_t kUnknownContext = 4'096;
constexpr std::size_t kWorkersMax = 64;  // two threads each for those beside

/// One calibration under way.
class Calibrator {
 public:
  Calibrator(ProbeTarget target, EndpointFacts facts, Duration time)
      : target_{target},
        facts_{std::move(facts)},
        prober_{std::move(target)},
        began_{SteadyClock::now()},
        deadline_{began_ + time} {}

  Result<void> run(const std::function<void(std::string_view)>& progress);
  [[nodiscard]] Result<simulation::ProfileFit> fit() const;
  /// About so many tokens the longest prompt has that is asked for.
  [[nodiscard]] std::uint32_t longest() const noexcept { return std::max(longest_, kLengths[0]); }
  [[nodiscard]] double tokens_per_word() const noexcept { return fresh_.tokens_per_word(); }
  [[nodiscard]] double seconds_taken() const { return to_seconds(SteadyClock::now() - began_); }

 private:
  Result<void> begin();
  Result<void> round();
  Result<void> measure_prompt(std::uint32_t length);
  Result<void> measure_batch(Batch batch);
  [[nodiscard]] bool fits(std::uint32_t length) const;
  void note_prompt(CostSample::Kind kind, const ProbeAnswer& answer);
  [[nodiscard]] HardwareProfile base() const;
  [[nodiscard]] bool has_enough() const;

  const ProbeTarget target_;
  EndpointFacts facts_;
  Prober prober_;
  const TimePoint began_;
  const TimePoint deadline_;
  ProbeTexts fresh_{fresh_seed()};
  std::uint32_t longest_ = kLengths[std::size(kLengths) - 1];
  std::uint32_t chunk_ = 0;                     // prompt tokens of a step; 0: unknown
  std::map<std::uint32_t, std::string> texts_;  // the last prompt of each length: computed, so in the cache
  std::vector<CostSample> prompts_;
  std::vector<CostSample> decodes_;
};

/// Warms the endpoint up, learns how long words are, and how many tokens a step takes.
Result<void> Calibrator::begin() {
  constexpr std::uint32_t kWords = 64;
  LLMD_TRY(const auto first, prober_.ask({{.prompt = fresh_.text_of(kWords), .max_tokens = 8}}, deadline_));
  fresh_.set_tokens_per_word(std::max(0.1, static_cast<double>(first.front().prompt_tokens) / kWords));
  const double per_token = to_seconds(first.front().tokens.front() - first.front().sent) / first.front().prompt_tokens;
  const double most = to_seconds(deadline_ - began_) * kLongestShare / per_token;
  const std::uint32_t context = facts_.context_tokens > 0 ? facts_.context_tokens : kUnknownContext;
  longest_ = static_cast<std::uint32_t>(std::min<double>({most, context / 2.0, longest_ * 1.0}));
  // The longest of the lengths tells best how many steps a prompt takes.
  std::uint32_t length = kLengths[0];
  for (const std::uint32_t each : kLengths) length = fits(each) ? each : length;
  if (!facts_.steps) return {};
  LLMD_TRY(const EndpointFacts before, fetch_facts(target_));
  LLMD_TRY(const auto answers, prober_.ask({{.prompt = fresh_.text_of(length), .max_tokens = 1}}, deadline_));
  LLMD_TRY(const EndpointFacts after, fetch_facts(target_));
  if (before.steps && after.steps) chunk_ = chunk_of(answers.front().prompt_tokens, *after.steps - *before.steps);
  return {};
}

void Calibrator::note_prompt(CostSample::Kind kind, const ProbeAnswer& answer) {
  prompts_.push_back(prompt_sample(kind, answer, base().batching.prefill_chunk_max));
}

bool Calibrator::fits(std::uint32_t length) const { return length == kLengths[0] || length <= longest_; }

Result<void> Calibrator::measure_prompt(std::uint32_t length) {
  std::string& text = texts_[length] = fresh_.text_of(length);
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
  std::vector<CostSample> samples = decodes_;
  samples.insert(samples.end(), prompts_.begin(), prompts_.end());
  return simulation::fit_profile(samples, base());
}

Result<std::vector<ProbeTarget>> targets_of(const std::vector<std::string>& urls, const ProbeTarget& like) {
  std::vector<ProbeTarget> targets;
  for (const std::string& url : urls) {
    ProbeTarget& target = targets.emplace_back(like);
    LLMD_TRY(target.address, net::Address::parse(url));
    LLMD_TRY_VOID(fetch_facts(target));  // what cannot be reached is told before anything is measured
  }
  return targets;
}

Result<void> check_distinct(const CalibrateOptions& options) {
  std::vector<std::string> urls{options.url};
  urls.insert(urls.end(), options.neighbours.begin(), options.neighbours.end());
  urls.insert(urls.end(), options.sharing.begin(), options.sharing.end());
  if (urls.size() > kWorkersMax)
    return fail(ErrorCode::kInvalidRequest, fmt::format("{} endpoints; expected at most {}", urls.size(), kWorkersMax));
  for (std::string& url : urls) {
    LLMD_TRY(const net::Address address, net::Address::parse(url));
    url = address.to_string();
  }
  std::ranges::sort(urls);
  const auto twice = std::ranges::adjacent_find(urls);
  if (twice == urls.end()) return {};
  return fail(ErrorCode::kInvalidRequest, fmt::format("{} is named twice", *twice),
              "each endpoint is either the one to fit, a neighbour, or one that shares its core");
}

/// Fills in the slow-downs of the profile that was fitted.
Result<void> measure_contention(SlownessOptions measure, const std::vector<ProbeTarget>& neighbours,
                                const std::vector<ProbeTarget>& sharing, Duration phase,
                                const std::function<void(std::string_view)>& progress, Calibration& calibration) {
  HardwareProfile& profile = calibration.fit.profile;
  calibration.neighbours = neighbours.size();
  calibration.sharing = sharing.size();
  if (neighbours.empty() && sharing.empty()) return {};
  const auto measured = [&] {
    measure.profile = profile;
    measure.deadline = SteadyClock::now() + phase;
    return measure_slowness(measure, progress);
  };
  LLMD_TRY(calibration.beside_none, measured());
  // How far the profile is from this very mix is no slow-down, but as near to what endpoints do as the fit's probes.
  scale_costs(calibration.beside_none.times, profile);
  measure.busy = neighbours;
  if (!neighbours.empty()) {
    LLMD_TRY(calibration.beside_neighbours, measured());
    profile.neighbour_slowdown = neighbour_slowdown(calibration.beside_neighbours.times, neighbours.size());
  }
  if (sharing.empty()) return {};
  measure.busy.insert(measure.busy.end(), sharing.begin(), sharing.end());
  LLMD_TRY(calibration.beside_sharing, measured());
  profile.sharing_slowdown =
      sharing_slowdown(calibration.beside_sharing.times, {.on_this_core = sharing.size(),
                                                          .neighbours = neighbours.size(),
                                                          .neighbour_slowdown = profile.neighbour_slowdown});
  return {};
}

std::string line_of(const Slowness& slowness, std::string_view what, std::string_view beside_what = "as long") {
  return fmt::format("# {} takes {:.3f} times {}: {:.3f} to {:.3f} in {} passes.\n", what, slowness.times, beside_what,
                     slowness.least, slowness.most, slowness.passes);
}

}  // namespace

Result<Calibration> calibrate(const CalibrateOptions& options, const std::function<void(std::string_view)>& progress) {
  const TimePoint began = SteadyClock::now();
  ProbeTarget target{.model = options.model,
                     .authorization = options.api_key.empty() ? std::string{} : "Bearer " + options.api_key};
  LLMD_TRY(target.address, net::Address::parse(options.url));
  LLMD_TRY_VOID(check_distinct(options));
  LLMD_TRY(EndpointFacts facts, fetch_facts(target));
  target.model = facts.model;
  LLMD_TRY(const auto neighbours, targets_of(options.neighbours, target));
  LLMD_TRY(const auto sharing, targets_of(options.sharing, target));
  const int asked = (neighbours.empty() ? 0 : 1) + (sharing.empty() ? 0 : 1);
  const int phases = asked == 0 ? 0 : asked + 1;  // first beside none
  const Duration phase = Duration{options.time} / (phases + 1);
  Calibrator calibrator{target, facts, Duration{options.time} - phases * phase};
  LLMD_TRY_VOID(calibrator.run(progress));
  LLMD_TRY(simulation::ProfileFit fit, calibrator.fit());
  Calibration calibration{.fit = std::move(fit), .facts = std::move(facts), .url = target.address.to_string()};
  LLMD_TRY_VOID(measure_contention(
      {.target = target, .tokens_per_word = calibrator.tokens_per_word(), .prompt_tokens_max = calibrator.longest()},
      neighbours, sharing, phase, progress, calibration));
  calibration.seconds_taken = to_seconds(SteadyClock::now() - began);
  return calibration;
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
  text += ".\n";
  if (calibration.neighbours + calibration.sharing > 0)
    text += line_of(calibration.beside_none, "A mix of both", "what the fit says, and so do all costs below");
  if (calibration.neighbours > 0) {
    text += line_of(calibration.beside_neighbours,
                    fmt::format("Beside {} busy on other cores all", calibration.neighbours));
  }
  if (calibration.sharing > 0) {
    text += line_of(calibration.beside_sharing, fmt::format("Beside {} busy on its core and {} on others all",
                                                            calibration.sharing, calibration.neighbours));
  }
  text += "# Not measured: start, transfers, and what waits at most.\n";
  text += config::hardware_profile_yaml(fit.profile);
  if (const auto read = config::parse_hardware_profile(text, "the profile"); !read)
    return fail(ErrorCode::kUpstreamFailed, "what was measured is beyond a profile: " + read.error().what);
  return text;
}

}  // namespace llmd::sim
