#include "scheduling/learning/weight_learner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>

#include "scheduling/learning/request_reward.h"

namespace llmd::scheduling {
namespace {

constexpr std::size_t kRoundsMax = 64;  // whose requests have not all ended
constexpr double kEndedShare = 0.95;    // of a round's requests, before it is learned from
constexpr double kSettlingShare = 0.2;  // of a slice's requests, which the arm before has shaped
constexpr std::uint32_t kSeenMin = 3;   // requests of a slice
constexpr double kRewardKeep = 0.9;     // of the means that are shown
constexpr double kReuseLimit = 0.5;     // of prompts
constexpr double kRateFirst = 2'000;    // prompt tokens a second and endpoint; further buckets are 4 times wider
constexpr double kRateFactor = 4;
constexpr double kHysteresis = 1.3;  // beyond the limit that the rate must be to change the bucket
constexpr double kReuseHysteresis = 0.1;

void note(double& mean, double seen) noexcept {
  mean = mean == 0 ? seen : kRewardKeep * mean + (1 - kRewardKeep) * seen;
}

}  // namespace

std::string_view arm_name(WeightLearner::Arm arm) noexcept {
  switch (arm) {
    case WeightLearner::Arm::kControl: return "control";
    case WeightLearner::Arm::kLearned: return "learned";
    case WeightLearner::Arm::kTrial: return "trial";
  }
  return "control";
}

WeightLearner::WeightLearner(Subject subject, const Options& options)
    : subject_{std::move(subject)}, options_{options}, rng_{options.seed} {
  searches_.assign(kContexts, fresh_search());
  numbers_ = static_cast<std::uint32_t>(rng_.next());  // rounds of another learner are not taken for its own
  start_round();
}

WeightSearch WeightLearner::fresh_search() const {
  const auto round = static_cast<double>(kSlices * options_.slice_requests);
  return WeightSearch{{.scorers = subject_.scorers.size(),
                       .one_trial = !options_.by_request,
                       .window = options_.window,
                       .window_rounds = static_cast<std::uint32_t>(std::ceil(options_.window_requests / round))}};
}

void WeightLearner::configure(const Options& options) {
  const std::unique_lock lock{mutex_};
  Options next = options;
  if (steered_) next.frozen = *steered_;
  if (next == options_) return;  // a reload for another plugin's sake keeps what is being compared
  options_ = next;
  const WeightSearch fresh = fresh_search();
  for (WeightSearch& search : searches_) search.configure(fresh);
  abandon_rounds();
}

WeightLearner::Weights WeightLearner::weights_of(const WeightLevels& levels) const noexcept {
  Weights weights{};
  for (std::size_t s = 0; s < subject_.scorers.size(); ++s)
    weights[s] = subject_.scorers[s].weight * weight_factor(levels[s], subject_.bound);
  return weights;
}

void WeightLearner::start_round() {
  Round round{.number = ++numbers_, .context = context_};
  WeightSearch& search = searches_[context_];
  const auto controls = static_cast<std::size_t>(
      std::clamp(std::ceil(options_.control_share * static_cast<double>(kSlices) - 1e-9), 1.0, kSlices - 1.0));
  WeightSearch::Plan plan{.learned = search.levels(), .trial = search.levels()};
  if (!options_.frozen) {
    round.plan = guard_.plan(blind_);
    plan = round.plan.mixed ? search.plan(rng_) : WeightSearch::Plan{.paused = true};
  }
  for (std::size_t i = 0; i < kSlices; ++i) {
    Slice& slice = round.slices[i];
    if (options_.frozen) {
      slice.arm = Arm::kLearned;
    } else if (!plan.paused && i >= controls) {
      slice.arm = i == controls ? Arm::kTrial : Arm::kLearned;
    }
    if (slice.arm != Arm::kControl) slice.levels = slice.arm == Arm::kTrial ? plan.trial : plan.learned;
    slice.weights = weights_of(slice.levels);
  }
  for (std::size_t i = kSlices; i > 1; --i) std::swap(round.slices[i - 1], round.slices[rng_.below(i)]);
  rounds_.push_back(round);
  slice_ = 0;
}

WeightLearner::Choice WeightLearner::choose(const PluginInput& input, double chance) const {
  Choice choice;
  std::uint32_t matched = 0;
  for (const std::uint32_t blocks : input.matched_blocks) matched = std::max(matched, blocks);
  const double held = static_cast<double>(matched) * input.request.prefix.block_tokens;
  endpoints_.store(static_cast<std::uint32_t>(std::max<std::size_t>(1, input.endpoints.size())),
                   std::memory_order_relaxed);
  const std::shared_lock lock{mutex_};
  const Round& round = rounds_.back();
  const std::size_t place = options_.by_request ? static_cast<std::size_t>(chance * kSlices) : slice_;
  const Slice& slice = round.slices[std::min(place, kSlices - 1)];
  choice.weights = slice.weights;
  choice.arm = slice.arm;
  choice.trial = {.made = true,
                  .counts = options_.by_request || slice.sent >= kSettlingShare * options_.slice_requests,
                  .slice = static_cast<std::uint8_t>(std::min(place, kSlices - 1)),
                  .round = round.number,
                  .reuse = static_cast<float>(std::min(1.0, held / std::max(1U, input.request.prompt_tokens))),
                  .ttft_objective_ms = input.request.slo_ttft_ms.value_or(options_.ttft_objective_ms),
                  .tpot_objective_ms = input.request.slo_tpot_ms.value_or(options_.tpot_objective_ms)};
  return choice;
}

void WeightLearner::sent(const WeightTrial& trial, std::uint32_t prompt_tokens, TimePoint now) {
  const std::unique_lock lock{mutex_};
  ++requests_;
  if (traffic_.requests == 0) traffic_.since = now;
  traffic_.requests += 1;
  traffic_.prompt_tokens += prompt_tokens;
  traffic_.reuse += static_cast<double>(trial.reuse);
  const std::uint32_t behind = rounds_.back().number - trial.round;
  if (behind >= rounds_.size()) return;
  Slice& slice = rounds_[rounds_.size() - 1 - behind].slices[trial.slice];
  ++slice.sent;
  if (trial.counts) ++slice.counting;
  advance(now);
}

void WeightLearner::advance(TimePoint now) {
  Round& round = rounds_.back();
  if (options_.by_request) {
    std::uint32_t sent = 0;
    for (const Slice& slice : round.slices) sent += slice.sent;
    if (sent >= kSlices * options_.slice_requests && now - traffic_.since >= kSlices * options_.slice_min)
      end_round(now);
    return;
  }
  if (round.slices[slice_].sent == 1) slice_since_ = now;
  if (round.slices[slice_].sent < options_.slice_requests || now - slice_since_ < options_.slice_min) return;
  if (++slice_ == kSlices) end_round(now);
}

void WeightLearner::end_round(TimePoint now) {
  rounds_.back().over = true;
  rounds_.back().over_at = now;
  context_ = context_of(traffic_, now);
  blind_ = rounds_.front().over && now - rounds_.front().over_at > options_.window / 2;
  traffic_ = {};
  start_round();
  learn_from_rounds(now);
}

std::size_t WeightLearner::context_of(const Traffic& traffic, TimePoint now) const noexcept {
  const bool reused = context_ >= kRateBuckets;
  const double reuse = traffic.reuse / traffic.requests;
  const bool reuses = reuse > kReuseLimit + (reused ? -kReuseHysteresis : kReuseHysteresis);
  const double elapsed_s = std::max(1e-3, to_seconds(now - traffic.since));
  const double rate = traffic.prompt_tokens / elapsed_s / endpoints_.load(std::memory_order_relaxed);
  std::size_t bucket = context_ % kRateBuckets;
  const auto limit = [](std::size_t below) { return kRateFirst * std::pow(kRateFactor, static_cast<double>(below)); };
  while (bucket + 1 < kRateBuckets && rate > limit(bucket) * kHysteresis) ++bucket;
  while (bucket > 0 && rate < limit(bucket - 1) / kHysteresis) --bucket;
  return (reuses ? kRateBuckets : 0) + bucket;
}

void WeightLearner::finished(const WeightTrial& trial, const Outcome& outcome, TimePoint now) {
  if (!trial.counts) return;
  const std::optional<float> reward = request_reward(trial, outcome);
  const std::unique_lock lock{mutex_};
  const std::uint32_t behind = rounds_.back().number - trial.round;
  if (behind >= rounds_.size()) return;
  Slice& slice = rounds_[rounds_.size() - 1 - behind].slices[trial.slice];
  slice.ended += 1 + outcome.retries;  // each attempt was counted when it was sent
  if (reward) {
    ++slice.seen;
    slice.reward += static_cast<double>(*reward);
  }
  learn_from_rounds(now);
}

void WeightLearner::learn_from_rounds(TimePoint now) {
  while (rounds_.front().over) {  // the last is under way
    const Round& round = rounds_.front();
    std::uint32_t counting = 0;
    std::uint32_t ended = 0;
    for (const Slice& slice : round.slices) {
      counting += slice.counting;
      ended += slice.ended;
    }
    const bool waits = ended < kEndedShare * counting && now - round.over_at < options_.window;
    if (waits && rounds_.size() <= kRoundsMax) return;
    learn_from(round, now);
    rounds_.pop_front();
  }
}

void WeightLearner::learn_from(const Round& round, TimePoint now) {
  if (options_.frozen) return;
  std::array<WeightSearch::Seen, kSlices> seen;
  std::size_t count = 0;
  double worth = 0;
  std::uint32_t told = 0;
  for (const Slice& slice : round.slices) {
    worth += slice.reward;
    told += slice.seen;
    if (slice.seen < kSeenMin) continue;
    const double reward = slice.reward / slice.seen;
    note(slice.arm == Arm::kControl ? control_reward_ : learned_reward_, reward);
    seen[count++] = {slice.levels, reward};
  }
  if (told > 0) guard_.learn(round.plan.block, worth / told);
  if (round.plan.mixed) searches_[round.context].learn(std::span{seen}.first(count), now);
}

void WeightLearner::freeze(bool frozen) {
  const std::unique_lock lock{mutex_};
  options_.frozen = frozen;
  steered_ = frozen;
  abandon_rounds();
}

void WeightLearner::abandon_rounds() {
  rounds_.clear();
  guard_.abandon();
  traffic_ = {};
  start_round();
}

void WeightLearner::reset() {
  const std::unique_lock lock{mutex_};
  searches_.assign(kContexts, fresh_search());
  guard_ = {};
  control_reward_ = learned_reward_ = 0;
  abandon_rounds();
}

WeightLearner::Status WeightLearner::status() const {
  const std::shared_lock lock{mutex_};
  const auto shown = [&](const WeightLevels& levels) {
    const Weights weights = weights_of(levels);
    return std::vector<float>(weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(subject_.scorers.size()));
  };
  const auto name = [](std::size_t context) {
    return fmt::format("{} prompts, tokens/s an endpoint in class {}", context < kRateBuckets ? "new" : "known",
                       context % kRateBuckets + 1);
  };
  Status status{.profile = subject_.profile,
                .scorers = subject_.scorers,
                .weights = shown(searches_[context_].levels()),
                .context = name(context_),
                .frozen = options_.frozen,
                .control_reward = control_reward_,
                .learned_reward = learned_reward_,
                .requests = requests_,
                .state = guard_.state(),
                .pauses = guard_.pauses(),
                .pause_rounds_left = guard_.pause_rounds_left(),
                .difference = guard_.difference()};
  for (std::size_t c = 0; c < kContexts; ++c) {
    const WeightSearch& search = searches_[c];
    status.fallbacks += search.fallbacks();
    if (search.rounds() == 0) continue;
    status.contexts.push_back({.name = name(c),
                               .rounds = search.rounds(),
                               .fallbacks = search.fallbacks(),
                               .paused = search.paused(),
                               .weights = shown(search.levels())});
  }
  return status;
}

PluginState WeightLearner::state() const {
  const Status known = status();
  PluginState state{.figures = {{"requests", static_cast<double>(known.requests)},
                                {"frozen", known.frozen ? 1.0 : 0.0},
                                {"contexts", static_cast<double>(known.contexts.size())},
                                {"fallbacks", static_cast<double>(known.fallbacks)},
                                {"pauses", static_cast<double>(known.pauses)},
                                {"controlReward", known.control_reward},
                                {"learnedReward", known.learned_reward}},
                    .items_are = "scorers"};
  for (std::size_t i = 0; i < known.scorers.size(); ++i) {
    state.items.push_back(
        {known.scorers[i].name, {{"weight", known.weights[i]}, {"configuredWeight", known.scorers[i].weight}}});
  }
  return state;
}

}  // namespace llmd::scheduling
