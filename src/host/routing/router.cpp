#include "routing/router.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <random>
#include <utility>

#include "api/openai/model_list.h"
#include "model/prefix_key.h"
#include "routing/live_loads.h"
#include "routing/plugin_states.h"
#include "routing/plugin_timer.h"
#include "routing/subset.h"

namespace llmd::routing {
namespace {

constexpr std::array<double, 11> kDecisionBounds{2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 1e-2};

constexpr std::size_t kRecordsMax = 65'536;  // on a shelf; mostly its bytes are spent before
constexpr double kAskedForPerSecond = 100;   // full explanations, beside those that nobody asks for

constexpr std::array<double, 10> kErrorBounds{0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5};

Histogram& prediction_errors(MetricsRegistry& metrics, const char* of) {
  return metrics.histogram("llmd_gateway_prediction_error_ratio",
                           "|seen - predicted| / predicted of streamed answers, by what was predicted", kErrorBounds,
                           {{"of", of}});
}

Counter& decisions(MetricsRegistry& metrics, const char* outcome) {
  return metrics.counter("llmd_gateway_decisions_total", "Scheduling decisions by what they said",
                         {{"outcome", outcome}});
}

Counter& explanations(MetricsRegistry& metrics, const char* detail) {
  return metrics.counter("llmd_gateway_explanations_total",
                         "Decisions by how they are explained; dropped: the record was larger than its budget",
                         {{"detail", detail}});
}

Gauge& budget_gauge(MetricsRegistry& metrics, const Budget& budget) {
  return metrics.gauge("llmd_budget_used_bytes", "Bytes drawn from a budget", {{"budget", std::string{budget.name()}}});
}

/// Slow enough to be kept among what went wrong.
bool was_slow(const LatencyBasis& said, const Outcome& outcome) {
  constexpr double kFactor = 3;
  constexpr double kMoreMs = 100;  // in a fast engine little is much of a prediction
  const double ttft_ms = to_milliseconds(outcome.ttft);
  const auto predicted_ms = static_cast<double>(said.ttft_ms);
  return said.known && ttft_ms > kFactor * predicted_ms && ttft_ms > predicted_ms + kMoreMs;
}

PrefixIndex::Options index_options(const scheduling::Scheduler& scheduler, std::uint64_t seed) {
  return {.endpoint_blocks_max = scheduler.prefix_options().endpoint_blocks_max, .seed = seed};
}

/// Of tables that clients must not aim at.
std::uint64_t drawn_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32U | device();
}

constexpr std::string_view kTtftHeaders[] = {"x-llm-d-slo-ttft-ms", "x-slo-ttft-ms"};  // the first counts
constexpr std::string_view kTpotHeaders[] = {"x-llm-d-slo-tpot-ms", "x-slo-tpot-ms"};

/// Of the profile that chose the decode endpoint.
std::vector<std::pair<std::shared_ptr<const Endpoint>, float>> totals_of(const Explanation& explanation,
                                                                         const Decision& decision) {
  std::vector<std::pair<std::shared_ptr<const Endpoint>, float>> totals;
  if (decision.decode == nullptr) return totals;
  const auto found = std::ranges::find(explanation.profiles, decision.decode->name, &ProfileExplanation::chosen);
  if (found == explanation.profiles.end()) return totals;
  for (const CandidateScore& candidate : found->candidates) totals.emplace_back(candidate.endpoint, candidate.total);
  return totals;
}

/// A positive number of milliseconds from the first of the headers that is there; nothing if it is none.
std::optional<float> objective_ms(const RouteRequest& request, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    const auto text = request.header(name);
    if (!text) continue;
    float value = 0;
    const auto [rest, status] = std::from_chars(text->data(), text->data() + text->size(), value);
    const bool whole = status == std::errc{} && rest == text->data() + text->size();
    return whole && std::isfinite(value) && value > 0 ? std::optional{value} : std::nullopt;
  }
  return std::nullopt;
}

void take_headers(const RouteRequest& request, const scheduling::Scheduler& scheduler, RequestFacts& facts) {
  facts.slo_ttft_ms = objective_ms(request, kTtftHeaders);
  facts.slo_tpot_ms = objective_ms(request, kTpotHeaders);
  for (const std::string& name : scheduler.headers_read()) {
    if (const auto value = request.header(name)) facts.headers.emplace_back(name, *value);
  }
}

/// Facts from tokens: the first prompt's blocks under the names that the workers use, or llm-d's chain over them while
/// those are not known.
void take_prompts(const RouteRequest& request, const scheduling::PrefixOptions& options, const BlockScheme& scheme,
                  RequestFacts& facts) {
  std::size_t tokens = 0;
  for (const openai::PromptTokens& prompt : request.prompts) tokens += prompt.tokens.size();
  facts.prompt_tokens = static_cast<std::uint32_t>(tokens);
  facts.prompt_tokens_exact = true;
  const std::vector<TokenId>& first = request.prompts.front().tokens;
  const std::uint32_t blocks_max = scheduling::effective_blocks_max(options, scheme.block_tokens);
  if (scheme.fingerprint) {
    const BlockScope scope{.model_fingerprint = *scheme.fingerprint, .tenant_salt = request.fields.cache_salt};
    facts.prefix = make_block_key(scope, first, scheme.block_tokens, blocks_max);
    return;
  }
  facts.prefix = make_prefix_key(first, {.model = request.model,
                                         .cache_salt = request.fields.cache_salt,
                                         .block_tokens = scheme.block_tokens,
                                         .blocks_max = blocks_max});
}

BlockScheme scheme_of(const RouteRequest& request, const scheduling::PrefixOptions& options,
                      const EndpointSnapshot& snapshot) {
  if (!request.prompts.empty()) {
    const ModelFacts model = model_facts(snapshot, request.model);
    if (model.block_fingerprint && model.block_tokens > 0) return {model.block_fingerprint, model.block_tokens};
  }
  return {std::nullopt, scheduling::effective_block_tokens(options, snapshot)};
}

scheduling::PluginState state_of(const PrefixIndex& index) {
  const PrefixIndex::Stats stats = index.stats();
  scheduling::PluginState state{.figures = {{"blocks", static_cast<double>(stats.blocks)},
                                            {"entries", static_cast<double>(stats.entries)},
                                            {"memoryBytes", static_cast<double>(stats.memory_bytes)},
                                            {"evictions", static_cast<double>(stats.evictions)},
                                            {"dropped", static_cast<double>(stats.dropped)}}};
  for (auto& [name, blocks] : index.endpoint_blocks())
    state.items.push_back({std::move(name), {{"blocks", static_cast<double>(blocks)}}});
  return state;
}

scheduling::PluginState state_of(const pool::PoolView& view) {
  scheduling::PluginState state;
  std::vector<scheduling::LiveLoad> live;
  read_live_loads(view, live);
  for (std::size_t i = 0; i < live.size(); ++i) {
    state.items.push_back(
        {view.snapshot.endpoints[i].endpoint->name,
         {{"requests", static_cast<double>(live[i].requests)}, {"tokens", static_cast<double>(live[i].tokens)}}});
  }
  return state;
}

}  // namespace

ModelFacts model_facts(const EndpointSnapshot& snapshot, std::string_view model) {
  ModelFacts facts;
  bool first = true;
  for (const EndpointState& state : snapshot.endpoints) {
    const Endpoint& endpoint = *state.endpoint;
    const ServedModel* served = endpoint.find_model(model);
    if (served == nullptr || served->context_tokens == 0) continue;
    const std::uint32_t block_tokens = state.kv_block_tokens.value.value_or(0);
    if (std::exchange(first, false)) {
      facts = {served->context_tokens, served->block_fingerprint, block_tokens};
      continue;
    }
    if (facts.context_tokens != served->context_tokens) facts.context_tokens = 0;
    const bool alike = facts.block_fingerprint == served->block_fingerprint && facts.block_tokens == block_tokens;
    if (!alike) facts.block_fingerprint.reset();
  }
  return facts;
}

Error refusal_of(Decision::Outcome outcome) {
  if (outcome == Decision::Outcome::kModelUnknown) {
    return {.code = ErrorCode::kModelNotFound,
            .what = "the model of this name is not served here",
            .hint = "GET /v1/models lists the names",
            .param = "model"};
  }
  if (outcome == Decision::Outcome::kNotAdmitted) {
    return {.code = ErrorCode::kOverloaded,
            .what = "a request of this priority is not admitted now",
            .hint = "try again later; llmd explain REQUEST_ID tells why"};
  }
  return {.code = ErrorCode::kNoEndpoint,
          .what = "no endpoint can serve the request now",
          .hint = "llmd explain REQUEST_ID tells why"};
}

Router::Router(pool::Pool& pool, scheduling::Scheduler scheduler, RouterOptions options, MetricsRegistry& metrics)
    : pool_{pool},
      seed_{drawn_seed()},
      explained_budget_{"explanations", options.explained_bytes_max},
      brief_budget_{"explanations-brief", options.brief_bytes_max},
      failed_budget_{"explanations-failed", options.failed_bytes_max},
      refused_budget_{"explanations-refused", options.refused_bytes_max},
      index_budget_{"prefix-index", options.prefix_index_bytes_max},
      ring_{{{{kRecordsMax, explained_budget_},
              {kRecordsMax, brief_budget_},
              {kRecordsMax, failed_budget_},
              {kRecordsMax, refused_budget_}}}},
      explained_{options.explained_per_second},
      asked_for_{kAskedForPerSecond},
      index_{std::make_unique<PrefixIndex>(index_options(scheduler, seed_), index_budget_)},
      measures_slowness_{options.measures_slowness},
      epp_metrics_{options.epp_metrics},
      decision_seconds_{
          metrics.histogram("llmd_gateway_decision_seconds", "Time that a decision takes", kDecisionBounds)},
      dispatched_{decisions(metrics, "dispatch")},
      without_endpoint_{decisions(metrics, "no_endpoint")},
      model_unknown_{decisions(metrics, "model_unknown")},
      not_admitted_{decisions(metrics, "not_admitted")},
      kept_in_full_{explanations(metrics, "full")},
      kept_in_brief_{explanations(metrics, "brief")},
      not_kept_{explanations(metrics, "dropped")},
      ttft_errors_{prediction_errors(metrics, "ttft")},
      tpot_errors_{prediction_errors(metrics, "tpot")},
      learned_weights_{metrics} {
  if (options.rebalance_roles) roles_ = std::make_unique<RoleKeeper>(pool, metrics);
  set_scheduler(std::move(scheduler));
  Gauge& blocks = metrics.gauge("llmd_prefix_index_blocks", "Distinct blocks in the prefix index");
  std::vector<std::pair<const Budget*, Gauge*>> budgets;
  for (const Budget* budget : {&index_budget_, &explained_budget_, &brief_budget_, &failed_budget_, &refused_budget_})
    budgets.emplace_back(budget, &budget_gauge(metrics, *budget));
  metrics.on_collect([this, &blocks, budgets = std::move(budgets)] {
    blocks.set(static_cast<double>(index_->stats().blocks));
    for (const auto& [budget, gauge] : budgets) gauge->set(static_cast<double>(budget->used_bytes()));
  });
}

Router::~Router() = default;

void Router::set_scheduler(scheduling::Scheduler scheduler) {
  const auto before = active();
  scheduling::SchedulerMemory memory = scheduler.make_memory(before == nullptr ? nullptr : &before->memory, seed_);
  learned_weights_.watch(memory.weight_learner());
  const std::uint64_t number = before == nullptr ? 1 : before->number + 1;
  auto times = epp_metrics_ == nullptr ? nullptr : epp_metrics_->plugin_times(scheduler.timed_plugins());
  auto next = std::make_shared<const Active>(std::move(scheduler), std::move(memory), number, std::move(times));
  const std::scoped_lock lock{mutex_};
  active_ = std::move(next);
}

std::shared_ptr<const Router::Active> Router::active() const {
  const std::scoped_lock lock{mutex_};
  return active_;
}

std::shared_ptr<const scheduling::Scheduler> Router::scheduler() const {
  auto now = active();
  const scheduling::Scheduler* scheduler = &now->scheduler;
  return {std::move(now), scheduler};
}

Result<std::string> Router::resolve_model(const openai::RoutingFields& fields, TimePoint now) {
  if (fields.model && !fields.model->empty() && *fields.model != openai::kDefaultModelAlias) return *fields.model;
  const auto view = pool_.view(now);
  for (const EndpointState& state : view->snapshot.endpoints) {
    if (!state.endpoint->models.empty()) return state.endpoint->models.front().id;
  }
  return fail(ErrorCode::kNoEndpoint, "no endpoint has told which model it serves", "wait until one is ready");
}

RequestFacts Router::make_facts(const RouteRequest& request, const scheduling::Scheduler& scheduler,
                                const BlockScheme& scheme, std::string& scratch) {
  const openai::RoutingFields& fields = request.fields;
  RequestFacts facts;
  facts.request_id = request.request_id;
  facts.model = request.model;
  facts.output_tokens_max = fields.output_tokens_max;
  facts.priority = fields.priority;
  facts.streaming = fields.stream;
  facts.media.assign(request.media.begin(), request.media.end());
  if (request.header) take_headers(request, scheduler, facts);
  if (!request.prompts.empty()) {
    take_prompts(request, scheduler.prefix_options(), scheme, facts);
    return facts;
  }
  facts.prompt_tokens_exact = !fields.prompt_ids.empty();
  const std::vector<TokenId> estimated =
      facts.prompt_tokens_exact ? std::vector<TokenId>{} : estimate_tokens(openai::prompt_text(fields, scratch));
  const std::vector<TokenId>& tokens = facts.prompt_tokens_exact ? fields.prompt_ids : estimated;
  facts.prompt_tokens = static_cast<std::uint32_t>(tokens.size());
  facts.prefix = make_prefix_key(
      tokens, {.model = request.model,
               .cache_salt = fields.cache_salt,
               .block_tokens = scheme.block_tokens,
               .blocks_max = scheduling::effective_blocks_max(scheduler.prefix_options(), scheme.block_tokens)});
  return facts;
}

Work Router::measure(const RouteRequest& request, RouteScratch& scratch, TimePoint now) const {
  const auto view = pool_.view(now);
  const auto active = this->active();
  Work work;
  work.scheme = scheme_of(request, active->scheduler.prefix_options(), view->snapshot);
  work.configuration = active->number;
  work.facts = make_facts(request, active->scheduler, work.scheme, scratch.prompt);
  index_->match(work.facts.prefix, view->snapshot.endpoints, scratch.match);
  std::uint32_t matched = 0;
  for (const std::uint32_t blocks : scratch.match.blocks) matched = std::max(matched, blocks);
  const std::uint64_t cached = std::uint64_t{matched} * work.facts.prefix.block_tokens;
  work.uncached_tokens =
      work.facts.prompt_tokens - static_cast<std::uint32_t>(std::min<std::uint64_t>(cached, work.facts.prompt_tokens));
  return work;
}

RequestFacts Router::facts_for(const RouteRequest& request, const Active& active, const EndpointSnapshot& snapshot,
                               std::string& scratch) {
  const BlockScheme scheme = scheme_of(request, active.scheduler.prefix_options(), snapshot);
  Work* work = request.work;
  if (work != nullptr && work->configuration == active.number && work->scheme == scheme) return std::move(work->facts);
  return make_facts(request, active.scheduler, scheme, scratch);
}

Route Router::route(const RouteRequest& request, RouteScratch& scratch, TimePoint now) {
  const auto view = pool_.view(now);
  const auto active = this->active();
  const scheduling::Scheduler& scheduler = active->scheduler;
  Route made{.facts = facts_for(request, *active, view->snapshot, scratch.prompt), .decision = {}};
  read_live_loads(*view, scratch.live);
  const bool restricted = request.subset != nullptr;
  if (restricted) mark_subset(view->snapshot, *request.subset, scratch.eligible);
  std::optional<PluginTimer> timer;
  if (active->times != nullptr) timer.emplace(*active->times);
  RequestRecord record = decide(
      request, scheduler,
      {.request = made.facts,
       .snapshot = view->snapshot,
       .index = *index_,
       .now = now,
       .live = scratch.live,
       .memory = &active->memory,
       .eligible = restricted ? std::span<const std::uint8_t>{scratch.eligible} : std::span<const std::uint8_t>{},
       .timing = timer ? &*timer : nullptr},
      scratch, made.decision);
  if (roles_ != nullptr) roles_->sent(made.facts, made.decision, now);
  made.yardstick = measure_by(made, scheduler, view->snapshot, scratch.live, now);
  const auto load = scheduler.load_tokens(made.facts, made.decision);
  made.load_tokens = load.prompt;
  made.output_load_tokens = load.output;
  count(made.decision.outcome);
  if (request.explain) made.scores = totals_of(record.explanation, made.decision);
  keep(std::move(record));
  if (timer) made.prediction_took = timer->prediction();
  made.took = SteadyClock::now() - now;
  decision_seconds_.observe(to_seconds(made.took));
  return made;
}

LatencyBasis Router::measure_by(const Route& route, const scheduling::Scheduler& scheduler,
                                const EndpointSnapshot& snapshot, std::span<const scheduling::LiveLoad> live,
                                TimePoint now) {
  const Decision& decision = route.decision;
  if (!measures_slowness_ || decision.decode == nullptr || decision.latency.made) return {};
  const auto found = std::ranges::find(snapshot.endpoints, decision.decode, &EndpointState::endpoint);
  if (found == snapshot.endpoints.end()) return {};
  const auto place = static_cast<scheduling::EndpointIndex>(found - snapshot.endpoints.begin());
  const scheduling::PluginInput input{.request = route.facts,
                                      .endpoints = snapshot.endpoints,
                                      .matched_blocks = {},
                                      .live = live,
                                      .serves = {},
                                      .now = now,
                                      .metric_age_max = scheduler.config().metric_age_max};
  LatencyBasis basis = yardstick_.basis_of(input, place);
  basis.cached = std::min(basis.prompt, static_cast<float>(decision.cached_tokens_expected) / 1'000);
  return basis;
}

bool Router::wants_all(const RouteRequest& request, TimePoint now) {
  if (request.explain || explained_.take(now)) return true;
  return request.header && request.header(kExplainHeader) == "1" && asked_for_.take(now);
}

RequestRecord Router::decide(const RouteRequest& request, const scheduling::Scheduler& scheduler,
                             const scheduling::DecisionInput& input, RouteScratch& scratch, Decision& decision) {
  RequestRecord record;
  record.explanation.brief = !wants_all(request, input.now);
  const Rng drawn_from = scratch.rng;
  decision = scheduler.decide(input, scratch.rng, scratch.decision, &record.explanation);
  const bool refused = decision.outcome != Decision::Outcome::kDispatch;
  if (refused && record.explanation.brief && asked_for_.take(input.now)) {
    scratch.rng = drawn_from;
    record.explanation.brief = false;
    decision = scheduler.decide(input, scratch.rng, scratch.decision, &record.explanation);
  }
  record.pool = request.pool;
  record.route = request.via;
  record.chosen = decision.decode;
  record.prefill = decision.prefill;
  if (decision.outcome == Decision::Outcome::kDispatch) return record;
  record.refusal = refusal_of(decision.outcome);
  if (const std::string& reason = record.explanation.refused_by; !reason.empty())
    record.refusal->what.append(": ").append(reason);
  return record;
}

void Router::count(Decision::Outcome outcome) {
  switch (outcome) {
    case Decision::Outcome::kDispatch: dispatched_.add(); return;
    case Decision::Outcome::kNoEndpoint: without_endpoint_.add(); return;
    case Decision::Outcome::kModelUnknown: model_unknown_.add(); return;
    case Decision::Outcome::kNotAdmitted: not_admitted_.add(); return;
  }
}

void Router::keep(RequestRecord&& record) {
  const bool brief = record.explanation.brief;
  Shelf shelf = brief ? Shelf::kBrief : Shelf::kFull;
  if (record.refusal) shelf = Shelf::kRefused;
  const bool kept = ring_.put(std::move(record), shelf);
  (kept ? (brief ? kept_in_brief_ : kept_in_full_) : not_kept_).add();
}

void Router::refuse(std::string_view request_id, const Error& error) {
  RequestRecord record;
  record.explanation.request_id = request_id;
  record.refusal = error;
  (void)ring_.put(std::move(record), Shelf::kRefused);
}

std::optional<RequestRecord> Router::find(std::string_view request_id) const { return ring_.find(request_id); }

std::string Router::plugin_states(TimePoint now, std::chrono::sys_seconds at,
                                  std::span<const scheduling::PluginInstance> more) const {
  const auto active = this->active();
  std::vector<scheduling::NamedPluginState> states = active->memory.states();
  states.push_back({.type = "approx-prefix-cache-producer", .state = state_of(*index_)});
  states.push_back({.type = "inflight-load-producer", .state = state_of(*pool_.view(now))});
  const scheduling::SchedulingConfig& config = active->scheduler.config();
  std::vector<scheduling::PluginInstance> plugins = config.plugins;
  plugins.insert(plugins.end(), config.others.begin(), config.others.end());
  plugins.insert(plugins.end(), more.begin(), more.end());
  return plugin_states_json(plugins, states, at);
}

void Router::remember(const Route& route, TimePoint now) {
  scheduling::remember(route.decision, route.facts.prefix, *index_, now);
  const auto active = this->active();
  active->scheduler.sent(route.facts, route.decision, now, active->memory);
  if (!route.yardstick.made) return;
  yardstick_.sent(route.decision.decode->name, route.yardstick, now);
}

void Router::finish(const Route& route, const Outcome& outcome, TimePoint now) {
  const bool wrong = outcome.endpoint_failed || outcome.retries > 0 || outcome.status >= 500 ||
                     !outcome.prefill_error.empty() || was_slow(route.decision.latency, outcome);
  ring_.finish(outcome, wrong);
  const auto active = this->active();
  auto seen = active->scheduler.finished(route.decision, outcome, now, active->memory);
  if (!seen && route.yardstick.made) {
    seen = scheduling::observed_latency(route.decision, outcome);
    if (seen) seen->ratios = yardstick_.learn(route.yardstick, *seen, now);
  }
  if (seen && measures_slowness_) {
    const TimePoint sent_at = now - outcome.total;
    if (seen->prefill_ratios.ttft > 0)
      pool_.on_latency(outcome.prefill_endpoint, {.sent_at = sent_at, .ttft_ratio = seen->prefill_ratios.ttft}, now);
    pool_.on_latency(outcome.endpoint,
                     {.sent_at = sent_at, .ttft_ratio = seen->ratios.ttft, .tpot_ratio = seen->ratios.tpot}, now);
  }
  const LatencyBasis& said = route.decision.latency;
  const auto judge = [](Histogram& errors, float predicted, float got) {
    if (predicted > 0 && got > 0) errors.observe(static_cast<double>(std::abs(got - predicted) / predicted));
  };
  if (!seen || !said.known) return;
  judge(ttft_errors_, said.ttft_ms, seen->ttft_ms);
  judge(tpot_errors_, said.tpot_ms, seen->tpot_ms);
}

void Router::forget(std::string_view endpoint) {
  index_->remove(endpoint);
  scheduling::Scheduler::forget(endpoint, active()->memory);
  yardstick_.forget(endpoint);
}

bool Router::can_serve(TimePoint now) const {
  const auto view = pool_.view(now);
  std::vector<scheduling::LiveLoad> live;
  read_live_loads(*view, live);
  return active()->scheduler.can_serve(view->snapshot, live);
}

void Router::sweep(TimePoint now) {
  if (roles_ != nullptr) roles_->look(now);
  const auto view = pool_.view(now);
  std::set<std::string> present;
  for (const EndpointState& state : view->snapshot.endpoints) present.insert(state.endpoint->name);
  std::set<std::string> known;
  {
    const std::scoped_lock lock{mutex_};
    known = std::exchange(known_endpoints_, present);
  }
  for (const std::string& name : known) {
    if (!present.contains(name)) index_->remove(name);
  }
  scheduling::Scheduler::keep_only(present, active()->memory);
  yardstick_.keep_only(present);
}

}  // namespace llmd::routing
