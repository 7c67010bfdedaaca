#include "scheduling/scheduler.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "scheduling/builder.h"
#include "scheduling/profile.h"

namespace llmd::scheduling {
namespace {

PdDecision route_prefill(const Stages& stages, const PdFacts& facts) {
  if (stages.prefill == nullptr) return {};
  if (stages.prefill_first) return {PrefillRoute::kRemote, "prefill-first", facts.prompt_tokens, 0};
  if (stages.decider == nullptr) return {PrefillRoute::kLocal, "no-decider", facts.prompt_tokens, 0};
  return stages.decider->decide(facts);
}

ProfileExplanation* next_profile(Explanation* explanation) {
  return explanation == nullptr ? nullptr : &explanation->profiles.emplace_back();
}

void start_explanation(const DecisionInput& input, Explanation& explanation) {
  explanation.request_id = input.request.request_id;
  explanation.snapshot_version = input.snapshot.version;
  explanation.snapshot_age_ms = std::chrono::duration_cast<milliseconds>(input.now - input.snapshot.taken_at).count();
  explanation.prompt_tokens = input.request.prompt_tokens;
  explanation.prompt_tokens_exact = input.request.prompt_tokens_exact;
  explanation.block_tokens = input.request.prefix.block_tokens;
  explanation.profiles.clear();
  explanation.profiles.reserve(2);  // pointers into it are held while profiles run
}

/// What of a prompt an endpoint need not compute that holds so many of its blocks.
std::uint32_t cached_tokens(const RequestFacts& request, std::uint32_t blocks) {
  const std::uint64_t block_tokens = request.prefix.block_tokens;
  std::uint64_t usable = request.prompt_tokens;
  // A worker of ours computes at least the last token, so a block that ends with it is of no use.
  if (request.prefix.whole_blocks && usable > 0) usable = (usable - 1) / block_tokens * block_tokens;
  return static_cast<std::uint32_t>(std::min(blocks * block_tokens, usable));
}

}  // namespace

struct Scheduler::Impl {
  BuiltScheduler built;

  void choose_prefill(const PluginInput& input, PdDecision route, Rng& rng, ProfileScratch& scratch, Decision& decision,
                      Explanation* explanation) const;
};

struct DecisionScratch::Impl {
  EndpointCache cache;
  PrefixMatch match;
  ProfileScratch profile;
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
  return Scheduler{std::make_unique<const Impl>(std::move(built))};
}

void Scheduler::Impl::choose_prefill(const PluginInput& input, PdDecision route, Rng& rng, ProfileScratch& scratch,
                                     Decision& decision, Explanation* explanation) const {
  if (route.route == PrefillRoute::kRemote) {
    built.stages.prefill->run(input, rng, {.picked_max = 1, .explained_max = built.config.explain_endpoints_max},
                              scratch, next_profile(explanation));
    if (scratch.picked.empty()) {
      route.rule = "no-prefill-endpoint";
    } else if (input.endpoints[scratch.picked.front()].endpoint == decision.decode) {
      route.rule = "prefill-is-decode";
    } else {
      decision.prefill = input.endpoints[scratch.picked.front()].endpoint;
    }
  }
  if (explanation == nullptr) return;
  explanation->pd_rule = route.rule;
  explanation->pd_observed = route.observed;
  explanation->pd_limit = route.limit;
}

Decision Scheduler::decide(const DecisionInput& input, Rng& rng, DecisionScratch& scratch,
                           Explanation* explanation) const {
  const BuiltScheduler& built = impl_->built;
  DecisionScratch::Impl& work = *scratch.impl_;
  if (explanation != nullptr) start_explanation(input, *explanation);
  const std::vector<EndpointState>& endpoints = input.snapshot.endpoints;
  const std::span<const EndpointFacts> facts = work.cache.update(endpoints);
  if (built.reads_prefixes) input.index.match(input.request.prefix, endpoints, work.match);
  const PluginInput plugin_input{
      .request = input.request,
      .endpoints = endpoints,
      .facts = facts,
      .matched_blocks =
          built.reads_prefixes ? std::span<const std::uint32_t>{work.match.blocks} : std::span<const std::uint32_t>{},
      .live = input.live.size() == endpoints.size() ? input.live : std::span<const LiveLoad>{},
      .serves = work.cache.serving(input.request.model),
      .now = input.now,
      .metric_age_max = built.config.metric_age_max};

  Decision decision;
  built.stages.decode->run(
      plugin_input, rng,
      {.picked_max = 1 + built.config.fallbacks_max, .explained_max = built.config.explain_endpoints_max}, work.profile,
      next_profile(explanation));
  if (work.profile.picked.empty()) {
    const bool unknown = !work.profile.model_served && !endpoints.empty();
    decision.outcome = unknown ? Decision::Outcome::kModelUnknown : Decision::Outcome::kNoEndpoint;
    return decision;
  }
  const EndpointIndex chosen = work.profile.picked.front();
  decision.outcome = Decision::Outcome::kDispatch;
  decision.decode = endpoints[chosen].endpoint;
  for (const EndpointIndex i : std::span{work.profile.picked}.subspan(1))
    decision.decode_fallbacks.push_back(endpoints[i].endpoint);
  if (built.reads_prefixes) {
    decision.cached_tokens_expected = cached_tokens(input.request, work.match.blocks[chosen]);
    if (explanation != nullptr) explanation->cached_tokens_expected = decision.cached_tokens_expected;
  }
  const PdFacts pd_facts{.prompt_tokens = input.request.prompt_tokens,
                         .cached_tokens = decision.cached_tokens_expected};
  impl_->choose_prefill(plugin_input, route_prefill(built.stages, pd_facts), rng, work.profile, decision, explanation);
  return decision;
}

bool Scheduler::can_serve(const EndpointSnapshot& snapshot) const {
  EndpointCache cache;
  const RequestFacts anything;
  const PluginInput input{.request = anything,
                          .endpoints = snapshot.endpoints,
                          .facts = cache.update(snapshot.endpoints),
                          .matched_blocks = {},
                          .live = {},
                          .serves = {},
                          .now = snapshot.taken_at,
                          .metric_age_max = impl_->built.config.metric_age_max};
  std::vector<EndpointIndex> ready;
  for (EndpointIndex i = 0; i < snapshot.endpoints.size(); ++i) {
    const EndpointHealth health = snapshot.endpoints[i].health;
    if (health == EndpointHealth::kReady || health == EndpointHealth::kProbing) ready.push_back(i);
  }
  return impl_->built.stages.decode->keeps_any(input, ready);
}

const SchedulingConfig& Scheduler::config() const noexcept { return impl_->built.config; }
const PrefixOptions& Scheduler::prefix_options() const noexcept { return impl_->built.prefix; }
bool Scheduler::disaggregates() const noexcept {
  const Stages& stages = impl_->built.stages;
  return stages.prefill != nullptr && (stages.prefill_first || stages.decider != nullptr);
}

void remember(const Decision& decision, const PrefixKey& key, PrefixIndex& index) {
  if (decision.decode != nullptr) index.insert(decision.decode->name, key);
  if (decision.prefill != nullptr) index.insert(decision.prefill->name, key);
}

}  // namespace llmd::scheduling
