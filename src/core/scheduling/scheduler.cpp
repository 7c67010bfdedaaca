#include "scheduling/scheduler.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "base/hash.h"
#include "scheduling/builder.h"
#include "scheduling/explain_profile.h"
#include "scheduling/header_name.h"
#include "scheduling/learning/weight_learner.h"
#include "scheduling/prediction/latency_predictor.h"
#include "scheduling/producers/mm_embeddings_cache_producer.h"
#include "scheduling/producers/predicted_latency_producer.h"
#include "scheduling/producers/weight_learner_plugin.h"
#include "scheduling/profile.h"

namespace llmd::scheduling {
namespace {

StageDecision route_prefill(const Stages& stages, const StageFacts& facts) {
  if (stages.prefill == nullptr) return {};
  if (stages.prefill_first) return {StageRoute::kRun, "prefill-first", facts.prompt_tokens, 0};
  if (stages.prefill_decider == nullptr) return {StageRoute::kSkip, "no-decider", facts.prompt_tokens, 0};
  return stages.prefill_decider->decide(facts);
}

bool chooses_pairs(const Stages& stages) {
  return stages.prefill != nullptr && stages.prefill_decider != nullptr && stages.prefill_decider->chooses_pairs();
}

/// Moves this one of the picked to their front, and its key with it.
void put_first(ProfileScratch& scratch, EndpointIndex first) {
  const auto found = std::ranges::find(scratch.picked, first);
  if (found == scratch.picked.end()) return;
  std::rotate(scratch.picked.begin(), found, found + 1);
  const auto key = std::ranges::find_if(
      scratch.keys, [&](const PickKey& each) { return scratch.candidates[each.position] == first; });
  if (key != scratch.keys.end()) std::rotate(scratch.keys.begin(), key, key + 1);
}

bool wants_encode(const Stages& stages, const StageFacts& facts) {
  return stages.encode != nullptr && stages.encode_decider != nullptr &&
         stages.encode_decider->decide(facts).route == StageRoute::kRun;
}

void start_explanation(const DecisionInput& input, const Stages& stages, Explanation& explanation) {
  explanation = {
      .request_id = input.request.request_id,
      .brief = explanation.brief,
      .snapshot_version = input.snapshot.version,
      .snapshot_age_ms = std::chrono::duration_cast<milliseconds>(input.now - input.snapshot.taken_at).count(),
      .prompt_tokens = input.request.prompt_tokens,
      .prompt_tokens_exact = input.request.prompt_tokens_exact,
      .block_tokens = input.request.prefix.block_tokens,
      .profiles = {}};
  explanation.profiles.reserve(1U + (stages.prefill == nullptr ? 0U : 1U) + (stages.encode == nullptr ? 0U : 1U));
}

/// What of a prompt an endpoint need not compute that holds so many of its blocks.
std::uint32_t cached_tokens(const RequestFacts& request, std::uint32_t blocks) {
  const std::uint64_t block_tokens = request.prefix.block_tokens;
  std::uint64_t usable = request.prompt_tokens;
  // A worker of ours computes at least the last token, so a block that ends with it is of no use.
  if (request.prefix.whole_blocks && usable > 0) usable = (usable - 1) / block_tokens * block_tokens;
  return static_cast<std::uint32_t>(std::min(blocks * block_tokens, usable));
}

/// As was thought when it was sent: what the prefill endpoint really had is told with its answer to no one.
std::uint32_t cached_by(const LatencyBasis& basis) { return static_cast<std::uint32_t>(basis.cached * 1'000.0F); }

constexpr std::uint32_t kPrefillsCompared = 8;  // with each of the decode endpoints that come next

}  // namespace

struct Scheduler::Impl {
  BuiltScheduler built;
  std::vector<std::string> headers;

  /// One decision under way.
  struct Run {
    const PluginInput& input;
    const Profile::Belongings& belongings;
    Rng& rng;
    DecisionScratch::Impl& work;
    Explanation* explanation;
  };
  [[nodiscard]] const Profile* decode_profile(const RequestFacts& request) const;
  [[nodiscard]] const char* refusal(const Run& run) const;
  /// Runs a stage before decode; its choice, or kNoEndpointIndex.
  EndpointIndex choose_stage(const Run& run, const Profile& profile, EndpointIndex peer,
                             std::uint32_t picked_max = 1) const;
  bool choose_decode(const Run& run, EndpointIndex peer, Decision& decision) const;
  void choose_encode(const Run& run, Decision& decision) const;
  /// Runs a profile, has `pairs` (may be null) choose among the picked, and tells of it if somebody listens.
  void run_profile(const Run& run, const Profile& profile, EndpointIndex peer, std::uint32_t picked_max,
                   const Decider* pairs) const;
  /// Of the request as it is sent: with what a prefill leg takes, if there is one.
  static std::optional<PredictedLatency> predicted(const LatencyBasis& latency, const DecisionScratch::Impl& work);
  void use_prefill(const Run& run, StageDecision route, EndpointIndex prefill, Decision& decision) const;
  void decode_first(const Run& run, Decision& decision) const;
  void by_pair(const Run& run, Decision& decision) const;
  void run_stages(const Run& run, Decision& decision) const;
  /// PluginInput::serves.
  [[nodiscard]] std::span<const std::uint8_t> serving(const RequestFacts& request, DecisionScratch::Impl& work) const;
  /// Predicts latencies, and hands them out if the plugins are to have them. `predictor` may be null.
  void predict(LatencyPredictor* predictor, PluginTiming* timing, DecisionScratch::Impl& work,
               PluginInput& input) const;
  [[nodiscard]] StageDecision route(const Run& run, const StageFacts& facts) const {
    const TimedCall call{run.belongings.timing, built.timed_places.handler};
    return route_prefill(built.stages, facts);
  }
  void prefill_first(const Run& run, Decision& decision) const;
};

struct DecisionScratch::Impl {
  EndpointCache cache;
  PrefixMatch match;
  ProfileScratch profile;
  std::vector<EndpointIndex> all;
  std::vector<float> media_matched;
  LatencyPredictor::Places places;
  std::vector<LatencyPrediction> predictions;
  std::vector<HandoffPrediction> handoffs;
  std::vector<EndpointIndex> prefills;  // best first, for a decider that chooses pairs
  WeightLearner::Choice weights;
  EndpointIndex decode = kNoEndpointIndex;
  std::uint64_t decisions = 0;  // made with this scratch
  EndpointIndex prefill = kNoEndpointIndex;
  PairDecision pair;
  bool learned_ran = false;  // the profile whose weights are learned
};

DecisionScratch::DecisionScratch() : impl_{std::make_unique<Impl>()} {}
DecisionScratch::~DecisionScratch() = default;
DecisionScratch::DecisionScratch(DecisionScratch&&) noexcept = default;
DecisionScratch& DecisionScratch::operator=(DecisionScratch&&) noexcept = default;

Scheduler::Scheduler(std::unique_ptr<const Impl> impl) : impl_{std::move(impl)} {}
Scheduler::~Scheduler() = default;
Scheduler::Scheduler(Scheduler&&) noexcept = default;
Scheduler& Scheduler::operator=(Scheduler&&) noexcept = default;

Result<Scheduler> Scheduler::make(SchedulingConfig config) {
  LLMD_TRY(BuiltScheduler built, build_scheduler(std::move(config)));
  auto impl = std::make_unique<Impl>(std::move(built), std::vector<std::string>{});
  for (const Plugin* plugin : impl->built.all) plugin->headers_read(impl->headers);
  if (!impl->built.stages.profile_header.empty()) impl->headers.push_back(impl->built.stages.profile_header);
  std::ranges::sort(impl->headers);
  const auto repeated = std::ranges::unique(impl->headers);
  impl->headers.erase(repeated.begin(), repeated.end());
  return Scheduler{std::move(impl)};
}

std::span<const std::uint8_t> Scheduler::Impl::serving(const RequestFacts& request, DecisionScratch::Impl& work) const {
  if (!built.config.checks_models) return {};
  return work.cache.serving(request.model);
}

const Profile* Scheduler::Impl::decode_profile(const RequestFacts& request) const {
  if (built.stages.profile_header.empty()) return built.stages.decode;
  const std::string wanted = trimmed(request.header(built.stages.profile_header));
  if (wanted.empty()) return built.stages.decode;
  const auto found =
      std::ranges::find_if(built.profiles, [&](const auto& profile) { return profile->name() == wanted; });
  return found == built.profiles.end() ? nullptr : found->get();
}

const char* Scheduler::Impl::refusal(const Run& run) const {
  if (built.admitters.empty()) return nullptr;
  std::vector<EndpointIndex>& all = run.work.all;
  all.clear();
  for (EndpointIndex i = 0; i < run.input.endpoints.size(); ++i) {
    const bool serves = run.input.serves.empty() || run.input.serves[i] != 0;
    if (serves && (run.input.eligible.empty() || run.input.eligible[i] != 0)) all.push_back(i);
  }
  PluginInput input = run.input;
  for (const BuiltScheduler::PlacedAdmitter& each : built.admitters) {
    Profile::hand_over(each.slots, run.belongings, input);
    input.chance = run.rng.uniform();
    const TimedCall call{run.belongings.timing, each.slots.timed};
    if (const char* reason = each.admitter->refuses(input, all); reason != nullptr) return reason;
  }
  return nullptr;
}

void Scheduler::Impl::run_profile(const Run& run, const Profile& profile, EndpointIndex peer, std::uint32_t picked_max,
                                  const Decider* pairs) const {
  PluginInput input = run.input;
  input.peer = peer;
  ProfileScratch& scratch = run.work.profile;
  std::optional<Profile::Telling> telling;
  if (run.explanation != nullptr) {
    telling.emplace(Profile::Telling{.into = run.explanation->profiles.emplace_back(),
                                     .brief = run.explanation->brief,
                                     .listed_max = std::max(built.config.explain_endpoints_max, 1U),
                                     .predictions = run.work.predictions,
                                     .chance = xxh64(input.request.request_id, run.work.decisions),
                                     .turn = run.work.decisions});
  }
  run.work.learned_ran = run.work.learned_ran || &profile == run.belongings.learned_for;
  profile.run(input, run.belongings, run.rng, picked_max, scratch, telling ? &*telling : nullptr);
  if (pairs != nullptr && !scratch.picked.empty()) {
    input.chance = run.rng.uniform();
    const TimedCall call{run.belongings.timing, built.timed_places.handler};
    run.work.pair = pairs->choose(input, scratch.picked);
    put_first(scratch, run.work.pair.decode);
  }
  if (telling) profile.tell_choice(input, scratch, *telling);
}

std::optional<PredictedLatency> Scheduler::Impl::predicted(const LatencyBasis& latency,
                                                           const DecisionScratch::Impl& work) {
  if (!latency.apart) return told_prediction(work.predictions, work.decode);
  if (!latency.known) return std::nullopt;
  const LatencyPrediction& prefill = work.predictions[work.prefill];
  const HandoffPrediction handoff =
      work.decode < work.handoffs.size() ? work.handoffs[work.decode] : HandoffPrediction{};
  const float after_ms = latency.ttft_ms - prefill.ttft_ms;
  return PredictedLatency{.ttft_ms = latency.ttft_ms,
                          .ttft_deviation_ms = std::hypot(prefill.ttft_deviation_ms, handoff.deviation * after_ms),
                          .tpot_ms = latency.tpot_ms,
                          .tpot_deviation_ms = handoff.tpot_deviation_ms};
}

EndpointIndex Scheduler::Impl::choose_stage(const Run& run, const Profile& profile, EndpointIndex peer,
                                            std::uint32_t picked_max) const {
  run_profile(run, profile, peer, picked_max, nullptr);
  return run.work.profile.picked.empty() ? kNoEndpointIndex : run.work.profile.picked.front();
}

bool Scheduler::Impl::choose_decode(const Run& run, EndpointIndex peer, Decision& decision) const {
  const Profile* profile = decode_profile(run.input.request);
  if (profile == nullptr) {
    decision.outcome = Decision::Outcome::kNoEndpoint;
    return false;
  }
  run_profile(run, *profile, peer, 1 + built.config.fallbacks_max,
              chooses_pairs(built.stages) ? built.stages.prefill_decider : nullptr);
  const PluginInput& input = run.input;
  const ProfileScratch& scratch = run.work.profile;
  if (scratch.picked.empty()) {
    const bool unknown = !scratch.model_served && !input.endpoints.empty();
    decision.outcome = unknown ? Decision::Outcome::kModelUnknown : Decision::Outcome::kNoEndpoint;
    return false;
  }
  run.work.decode = scratch.picked.front();
  decision.outcome = Decision::Outcome::kDispatch;
  decision.data_parallel_port = built.stages.data_parallel_port;
  decision.endpoints_wanted = profile->endpoints_max();
  decision.decode = input.endpoints[run.work.decode].endpoint;
  decision.decode_fallbacks.reserve(scratch.picked.size() - 1);
  for (const EndpointIndex i : std::span{scratch.picked}.subspan(1))
    decision.decode_fallbacks.push_back(input.endpoints[i].endpoint);
  if (built.reads_prefixes) {
    decision.cached_tokens_expected = cached_tokens(input.request, input.matched_blocks[run.work.decode]);
    decision.cached_anywhere =
        std::ranges::any_of(input.matched_blocks, [](std::uint32_t blocks) { return blocks > 0; });
    if (run.explanation != nullptr) run.explanation->cached_tokens_expected = decision.cached_tokens_expected;
  }
  return true;
}

void Scheduler::Impl::choose_encode(const Run& run, Decision& decision) const {
  if (choose_stage(run, *built.stages.encode, kNoEndpointIndex) == kNoEndpointIndex) return;
  const std::uint32_t wanted = built.stages.encode->endpoints_max();
  for (const EndpointIndex i :
       std::span{run.work.profile.picked}.first(std::min<std::size_t>(wanted, run.work.profile.picked.size())))
    decision.encode.push_back(run.input.endpoints[i].endpoint);
}

void Scheduler::Impl::use_prefill(const Run& run, StageDecision route, EndpointIndex prefill,
                                  Decision& decision) const {
  if (route.route == StageRoute::kRun) {
    if (prefill == kNoEndpointIndex) {
      route.rule = "no-prefill-endpoint";
    } else if (prefill == run.work.decode) {
      route.rule = "prefill-is-decode";
    } else {
      decision.prefill = run.input.endpoints[prefill].endpoint;
      run.work.prefill = prefill;
    }
  }
  if (built.kv_source) {
    const EndpointIndex computing = decision.prefill == nullptr ? run.work.decode : prefill;
    const EndpointIndex source = choose_kv_source(run.input, computing, *built.kv_source);
    if (source != kNoEndpointIndex) decision.kv_source = run.input.endpoints[source].endpoint;
  }
  if (run.explanation == nullptr) return;
  run.explanation->pd_rule = route.rule;
  run.explanation->pd_observed = route.observed;
  run.explanation->pd_limit = route.limit;
}

void Scheduler::Impl::decode_first(const Run& run, Decision& decision) const {
  if (!choose_decode(run, kNoEndpointIndex, decision)) return;
  const StageFacts facts{.prompt_tokens = run.input.request.prompt_tokens,
                         .cached_tokens = decision.cached_tokens_expected,
                         .media_items = static_cast<std::uint32_t>(run.input.request.media.size())};
  if (wants_encode(built.stages, facts)) choose_encode(run, decision);
  const StageDecision routed = route(run, facts);
  const EndpointIndex prefill =
      routed.route == StageRoute::kRun ? choose_stage(run, *built.stages.prefill, run.work.decode) : kNoEndpointIndex;
  use_prefill(run, routed, prefill, decision);
}

// The prefill profile goes before, so that decode endpoints are scored knowing who could compute the prompt.
void Scheduler::Impl::by_pair(const Run& run, Decision& decision) const {
  run.work.prefills.clear();
  if (choose_stage(run, *built.stages.prefill, kNoEndpointIndex, kPrefillsCompared) != kNoEndpointIndex)
    run.work.prefills = run.work.profile.picked;
  PluginInput input = run.input;
  input.prefills = run.work.prefills;
  const Run paired{input, run.belongings, run.rng, run.work, run.explanation};
  if (!choose_decode(paired, kNoEndpointIndex, decision)) return;
  const StageFacts facts{.prompt_tokens = input.request.prompt_tokens,
                         .cached_tokens = decision.cached_tokens_expected,
                         .media_items = static_cast<std::uint32_t>(input.request.media.size())};
  if (wants_encode(built.stages, facts)) choose_encode(run, decision);
  use_prefill(run, run.work.pair.route, run.work.pair.prefill, decision);
}

void Scheduler::Impl::prefill_first(const Run& run, Decision& decision) const {
  const StageFacts facts{.prompt_tokens = run.input.request.prompt_tokens,
                         .media_items = static_cast<std::uint32_t>(run.input.request.media.size())};
  const StageDecision routed = route(run, facts);
  const EndpointIndex prefill =
      built.stages.prefill == nullptr ? kNoEndpointIndex : choose_stage(run, *built.stages.prefill, kNoEndpointIndex);
  if (wants_encode(built.stages, facts)) choose_encode(run, decision);
  if (choose_decode(run, prefill, decision)) use_prefill(run, routed, prefill, decision);
}

void Scheduler::Impl::run_stages(const Run& run, Decision& decision) const {
  run.work.prefill = kNoEndpointIndex;
  if (built.stages.prefill_first) return prefill_first(run, decision);
  if (chooses_pairs(built.stages)) return by_pair(run, decision);
  decode_first(run, decision);
}

void Scheduler::Impl::predict(LatencyPredictor* predictor, PluginTiming* timing, DecisionScratch::Impl& work,
                              PluginInput& input) const {
  if (predictor == nullptr) {
    work.predictions.clear();
    return;
  }
  const bool pairs = chooses_pairs(built.stages);
  const TimedCall call{timing, built.timed_places.predictor};
  predictor->predict(input, work.places, work.predictions, pairs ? &work.handoffs : nullptr);
  if (built.hands_out_predictions) input.predictions = work.predictions;
  if (!pairs) work.handoffs.clear();
  input.handoffs = work.handoffs;
}

Decision Scheduler::decide(const DecisionInput& input, Rng& rng, DecisionScratch& scratch,
                           Explanation* explanation) const {
  const BuiltScheduler& built = impl_->built;
  DecisionScratch::Impl& work = *scratch.impl_;
  ++work.decisions;
  if (explanation != nullptr) start_explanation(input, built.stages, *explanation);
  const std::vector<EndpointState>& endpoints = input.snapshot.endpoints;
  work.cache.update(endpoints, built.with_fixed, built.identity);
  std::span<const std::uint32_t> matched = input.matched_blocks;
  if (built.reads_prefixes && matched.size() != endpoints.size()) {
    const TimedCall call{input.timing, built.timed_places.prefix};
    input.index.match(input.request.prefix, endpoints, work.match, input.now);
    matched = work.match.blocks;
  }
  if (input.memory != nullptr && input.memory->media_ != nullptr) {
    const TimedCall call{input.timing, built.timed_places.media};
    work.media_matched.resize(endpoints.size());
    input.memory->media_->match(input.request.media, endpoints, work.media_matched);
  } else {
    work.media_matched.clear();
  }
  PluginInput plugin_input{.request = input.request,
                           .endpoints = endpoints,
                           .matched_blocks = built.reads_prefixes ? matched : std::span<const std::uint32_t>{},
                           .live = input.live.size() == endpoints.size() ? input.live : std::span<const LiveLoad>{},
                           .serves = impl_->serving(input.request, work),
                           .now = input.now,
                           .metric_age_max = built.config.metric_age_max,
                           .media_matched = work.media_matched,
                           .links = input.snapshot.links.get(),
                           .prefix_heat = matched.data() == work.match.blocks.data() ? work.match.heat : 0.0F,
                           .eligible = input.eligible};
  if (built.screens) plugin_input.decision_chance = rng.uniform();
  LatencyPredictor* const predictor = input.memory == nullptr ? nullptr : input.memory->predictor_.get();
  impl_->predict(predictor, input.timing, work, plugin_input);
  Profile::Belongings belongings{
      .cache = work.cache,
      .memory = input.memory == nullptr ? std::span<const std::shared_ptr<PluginMemory>>{} : input.memory->parts_,
      .timing = input.timing};
  Decision decision;
  if (input.memory != nullptr && input.memory->learner_ != nullptr) {
    work.weights = input.memory->learner_->choose(plugin_input, rng.uniform());
    decision.trial = work.weights.trial;
    belongings.learned_for = built.learning->profile;
    belongings.learned_weights = std::span{work.weights.weights}.first(built.learning->subject.scorers.size());
    belongings.learned_arm = arm_name(work.weights.arm);
  }
  const Impl::Run run{plugin_input, belongings, rng, work, explanation};
  if (const char* refusal = impl_->refusal(run); refusal != nullptr) {
    decision.outcome = Decision::Outcome::kNotAdmitted;
    if (explanation != nullptr) explanation->refused_by = refusal;
    return decision;
  }
  work.learned_ran = false;
  impl_->run_stages(run, decision);
  if (!work.learned_ran) decision.trial = {};  // its weights were of a profile that this request did not need
  if (predictor == nullptr || decision.outcome != Decision::Outcome::kDispatch) return decision;
  if (decision.prefill == nullptr) {
    decision.latency = predictor->basis(plugin_input, work.places, work.decode);
  } else {
    decision.latency = predictor->basis_apart(plugin_input, work.places, work.decode, work.prefill);
    decision.prefill_latency = predictor->basis(plugin_input, work.places, work.prefill);
  }
  if (explanation != nullptr) explanation->predicted = Impl::predicted(decision.latency, work);
  return decision;
}

SchedulerMemory Scheduler::make_memory(const SchedulerMemory* before, std::uint64_t seed) const {
  SchedulerMemory memory;
  if (impl_->built.media) {
    MediaIndex::Options options = *impl_->built.media;
    options.seed = seed;
    memory.media_ =
        before != nullptr && before->media_ != nullptr ? before->media_ : std::make_shared<MediaIndex>(options);
  }
  if (impl_->built.predicts) {
    memory.predictor_ = before != nullptr && before->predictor_ != nullptr
                            ? before->predictor_
                            : std::make_shared<LatencyPredictor>(LatencyPredictor::Options{});
  }
  if (const auto& learning = impl_->built.learning) {
    WeightLearner::Options options = learning->options;
    options.seed ^= seed;
    if (before != nullptr && before->learner_ != nullptr && before->learner_->subject() == learning->subject) {
      memory.learner_ = before->learner_;
      memory.learner_->configure(options);
    } else {
      memory.learner_ = std::make_shared<WeightLearner>(learning->subject, options);
    }
  }
  for (const Rememberer& each : impl_->built.rememberers) {
    std::shared_ptr<PluginMemory> part;
    if (before != nullptr) {
      const auto known = std::ranges::find(before->names_, each.name);
      if (known != before->names_.end())
        part = before->parts_[static_cast<std::size_t>(known - before->names_.begin())];
    }
    if (part == nullptr) part = each.plugin->make_memory();
    memory.names_.push_back(each.name);
    memory.parts_.push_back(std::move(part));
  }
  return memory;
}

std::vector<NamedPluginState> SchedulerMemory::states() const {
  std::vector<NamedPluginState> states;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    // "name/type/verb", where only the name may hold another "/".
    const std::string_view name = names_[i];
    const std::size_t verb = name.rfind('/');
    const std::size_t type = name.rfind('/', verb - 1);
    states.push_back({.name = std::string{name.substr(0, type)},
                      .type = std::string{name.substr(type + 1, verb - type - 1)},
                      .state = parts_[i]->state()});
  }
  if (media_ != nullptr)
    states.push_back({.type = std::string{MmEmbeddingsCacheProducer::kSpec.type}, .state = media_->state()});
  if (predictor_ != nullptr)
    states.push_back({.type = std::string{PredictedLatencyProducer::kSpec.type}, .state = predictor_->state()});
  if (learner_ != nullptr) {
    states.push_back({.name = learner_->subject().learner,
                      .type = std::string{WeightLearnerPlugin::kSpec.type},
                      .state = learner_->state()});
  }
  return states;
}

void Scheduler::sent(const RequestFacts& request, const Decision& decision, TimePoint now,
                     const SchedulerMemory& memory) const {
  const SentRequest sent{request, decision, now};
  for (std::size_t i = 0; i < impl_->built.rememberers.size(); ++i)
    impl_->built.rememberers[i].plugin->sent(sent, *memory.parts_[i]);
  if (memory.learner_ != nullptr && decision.trial.made)
    memory.learner_->sent(decision.trial, request.prompt_tokens, now);
  if (memory.predictor_ != nullptr && decision.decode != nullptr) {
    const bool apart = decision.prefill != nullptr;
    const LatencyBasis& computing = apart ? decision.prefill_latency : decision.latency;
    const std::string& computes = apart ? decision.prefill->name : decision.decode->name;
    memory.predictor_->sent(computes, computing, now);
  }
  if (memory.media_ == nullptr || request.media.empty()) return;
  // Who encodes keeps the embeddings: the encode endpoints, or the decode endpoint without such a leg.
  for (const auto& endpoint : decision.encode) memory.media_->insert(endpoint->name, request.media);
  if (decision.encode.empty() && decision.decode != nullptr)
    memory.media_->insert(decision.decode->name, request.media);
}

std::optional<ObservedLatency> Scheduler::finished(const Decision& decision, const Outcome& outcome, TimePoint now,
                                                   const SchedulerMemory& memory) const {
  if (memory.learner_ != nullptr && decision.trial.made) memory.learner_->finished(decision.trial, outcome, now);
  if (memory.predictor_ == nullptr) return std::nullopt;
  auto seen = observed_latency(decision, outcome);
  if (!seen) return seen;
  if (seen->prefill_ms > 0) {
    seen->prefill_ratios = memory.predictor_->learn(decision.prefill_latency,
                                                    {.endpoint = outcome.prefill_endpoint,
                                                     .ttft_ms = seen->prefill_ms,
                                                     .cached_tokens = cached_by(decision.prefill_latency)},
                                                    now);
  }
  seen->ratios = memory.predictor_->learn(decision.latency, *seen, now);
  return seen;
}

void Scheduler::forget(std::string_view endpoint, const SchedulerMemory& memory) {
  if (memory.predictor_ != nullptr) memory.predictor_->forget(endpoint);
}

void Scheduler::keep_only(const std::set<std::string>& endpoints, const SchedulerMemory& memory) {
  if (memory.predictor_ != nullptr) memory.predictor_->keep_only(endpoints);
}

std::vector<Header> Scheduler::answer_headers(const RequestFacts& request, const Decision& decision,
                                              const Endpoint& endpoint) const {
  std::vector<Header> headers;
  const AnsweredRequest answered{request, decision, endpoint};
  for (const Plugin* plugin : impl_->built.all) plugin->answer(answered, headers);
  return headers;
}

const std::vector<std::string>& Scheduler::headers_read() const noexcept { return impl_->headers; }

Scheduler::LoadTokens Scheduler::load_tokens(const RequestFacts& request, const Decision& decision) const noexcept {
  return {.prompt = request.prompt_tokens - std::min(request.prompt_tokens, decision.cached_tokens_expected),
          .output = estimated_output_tokens(impl_->built.inflight, request)};
}

bool Scheduler::can_serve(const EndpointSnapshot& snapshot, std::span<const LiveLoad> live) const {
  const BuiltScheduler& built = impl_->built;
  if (built.stages.decode == nullptr) return !snapshot.endpoints.empty();  // a header will name the profile
  EndpointCache cache;
  cache.update(snapshot.endpoints, built.with_fixed, built.identity);
  const RequestFacts anything;
  const PluginInput input{.request = anything,
                          .endpoints = snapshot.endpoints,
                          .matched_blocks = {},
                          .live = live,
                          .serves = {},
                          .now = snapshot.taken_at,
                          .metric_age_max = built.config.metric_age_max};
  std::vector<EndpointIndex> ready;
  for (EndpointIndex i = 0; i < snapshot.endpoints.size(); ++i) {
    const EndpointHealth health = snapshot.endpoints[i].health;
    if (health == EndpointHealth::kReady || health == EndpointHealth::kProbing) ready.push_back(i);
  }
  return built.stages.decode->keeps_any(input, {.cache = cache, .memory = {}}, ready);
}

const std::vector<TimedPlugin>& Scheduler::timed_plugins() const noexcept { return impl_->built.timed; }
const SchedulingConfig& Scheduler::config() const noexcept { return impl_->built.config; }
const PrefixOptions& Scheduler::prefix_options() const noexcept { return impl_->built.prefix; }
const MediaEstimate& Scheduler::media_estimate() const noexcept { return impl_->built.media_estimate; }
bool Scheduler::disaggregates() const noexcept {
  const Stages& stages = impl_->built.stages;
  return stages.prefill != nullptr && (stages.prefill_first || stages.prefill_decider != nullptr);
}

void remember(const Decision& decision, const PrefixKey& key, PrefixIndex& index, TimePoint now) {
  index.note_use(key, now);
  if (decision.decode != nullptr) index.insert(decision.decode->name, key);
  if (decision.prefill != nullptr) index.insert(decision.prefill->name, key);
}

}  // namespace llmd::scheduling
