#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai/prompt_tokens.h"
#include "api/openai/routing_fields.h"
#include "base/budget.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/rng.h"
#include "eppmetrics/epp_metrics.h"
#include "model/decision.h"
#include "model/request_facts.h"
#include "pool/pool.h"
#include "prefix/prefix_index.h"
#include "routing/explanation_ring.h"
#include "routing/learned_weight_metrics.h"
#include "routing/rate_limit.h"
#include "routing/role_keeper.h"
#include "scheduling/prediction/latency_predictor.h"
#include "scheduling/scheduler.h"
#include "telemetry/metrics.h"

namespace llmd::routing {

struct RouterOptions {
  double explained_per_second = 50;                       // decisions explained in full; the others are in brief
  std::size_t explained_bytes_max = 16 * 1024 * 1024;     // of all that can be asked about afterwards
  std::size_t brief_bytes_max = 8 * 1024 * 1024;          // of those explained in brief
  std::size_t failed_bytes_max = 4 * 1024 * 1024;         // of those that went wrong or were slow
  std::size_t refused_bytes_max = 2 * 1024 * 1024;        // of those that were sent nowhere
  std::size_t prefix_index_bytes_max = 64 * 1024 * 1024;  // then the longest unused blocks are forgotten
  bool rebalance_roles = false;                           // see RoleKeeper
  bool measures_slowness = true;                          // and tells the pool, for its outlier detection
  /// llm-d's page, which is told how long plugins take; must outlive the router. Null: none times them.
  eppmetrics::EppMetrics* epp_metrics = nullptr;
};

/// How a prompt is cut into the blocks that it is known by.
struct BlockScheme {
  std::optional<Digest256> fingerprint{};  // the names are the workers'; none: a chain of llm-d's
  std::uint32_t block_tokens = 0;

  friend bool operator==(const BlockScheme&, const BlockScheme&) = default;
};

/// What a request will cost, before it is decided where.
struct Work {
  RequestFacts facts;
  std::uint32_t uncached_tokens = 0;  // of its prompt, on the endpoint that holds most of it
  BlockScheme scheme{};               // that the facts rest on
  std::uint64_t configuration = 0;    // the same, by the number of set_scheduler()'s calls
};

/// What a decision is asked for.
struct RouteRequest {
  std::string_view request_id;
  std::string_view model;  // as resolved by resolve_model()
  const openai::RoutingFields& fields;
  /// The prompts as the model's own tokenizer cut them; empty: what the fields say, or an estimate.
  std::span<const openai::PromptTokens> prompts{};
  std::span<const MediaItem> media{};  // of the prompt
  /// What measure() made of the same request; its facts are taken, unless another configuration or another way to cut
  /// prompts came meanwhile. Null: they are made anew.
  Work* work = nullptr;
  /// A header of the request, for plugins that read some: its name is in lower case. May be empty: none are known.
  std::function<std::optional<std::string_view>(std::string_view name)> header{};
  /// Addresses ("ip:port", or "ip" for all of its ports) of the endpoints that it may go to; null: all.
  const std::vector<std::string_view>* subset = nullptr;
  /// The decision is explained in full, whatever others are.
  bool explain = false;
  /// For the record: the pool that it was given to, and the route that did. Empty: there is but one.
  std::string_view pool{};
  std::string_view via{};
};

/// What the endpoints of a model tell alike, so that a request can be judged before it is sent. Nothing while none is
/// known, or if they differ.
struct ModelFacts {
  std::uint32_t context_tokens = 0;
  std::optional<Digest256> block_fingerprint{};
  std::uint32_t block_tokens = 0;
};
[[nodiscard]] ModelFacts model_facts(const EndpointSnapshot& snapshot, std::string_view model);

/// What was decided, and the facts that it rests on.
struct Route {
  RequestFacts facts;
  Decision decision;
  std::uint64_t load_tokens = 0;         // that the request adds to those in flight until its first token
  std::uint64_t output_load_tokens = 0;  // the same, until it ends
  std::vector<std::pair<std::shared_ptr<const Endpoint>, float>> scores{};  // totals, if RouteRequest::explain
  LatencyBasis yardstick{};                   // for Router's own, where the configuration predicts nothing
  Duration took{};                            // to decide it
  std::optional<Duration> prediction_took{};  // of it, for predictions of latencies; only if plugins are timed
};

/// A request header: 1 has its decision explained in full, however many others are.
inline constexpr std::string_view kExplainHeader = "x-llmd-explain";

/// What the client is answered if the decision is not to dispatch.
[[nodiscard]] Error refusal_of(Decision::Outcome outcome);

/// The working memory of decisions: one object a loop.
struct RouteScratch {
  explicit RouteScratch(std::uint64_t seed) : rng{seed} {}
  Rng rng;
  scheduling::DecisionScratch decision;
  std::vector<scheduling::LiveLoad> live;
  PrefixMatch match;                   // of measure()
  std::string prompt;                  // tools and messages put together
  std::vector<std::uint8_t> eligible;  // of a request with a subset
};

/// Turns a request's deciding fields into a Decision: facts, prefix identity, scheduler, and a record of why. Owns the
/// prefix index and the ring of records. Thread-safe: every loop calls with a scratch of its own.
/// Cost: about 1 us per KiB of prompt, beside the scheduler's.
class Router {
 public:
  /// `pool` and `metrics` must outlive the router.
  Router(pool::Pool& pool, scheduling::Scheduler scheduler, RouterOptions options, MetricsRegistry& metrics);
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  /// A new configuration, from the next decision on. Plugins that keep name and type keep what they remember. Options
  /// of the prefix index that need a new index wait for a restart.
  void set_scheduler(scheduling::Scheduler scheduler);

  /// The model that the request means: the one it names, or the pool's first if it names none or "default". Error
  /// kNoEndpoint while no endpoint has told its model.
  [[nodiscard]] Result<std::string> resolve_model(const openai::RoutingFields& fields, TimePoint now);
  [[nodiscard]] ModelFacts facts_of_model(std::string_view model, TimePoint now) {
    return model_facts(pool_.view(now)->snapshot, model);
  }

  /// For flow control, which knows a request before it is decided. Pre: RouteRequest::work is null.
  [[nodiscard]] Work measure(const RouteRequest& request, RouteScratch& scratch, TimePoint now) const;
  /// Never fails: see Decision::outcome. The record is kept from now on.
  [[nodiscard]] Route route(const RouteRequest& request, RouteScratch& scratch, TimePoint now);
  /// The request was sent as decided: its endpoints now hold its prefix.
  void remember(const Route& route, TimePoint now);
  /// Headers that plugins add to the answer that `endpoint` gave.
  [[nodiscard]] std::vector<Header> answer_headers(const Route& route, const Endpoint& endpoint) const {
    return active()->scheduler.answer_headers(route.facts, route.decision, endpoint);
  }
  /// The request is refused before a decision: `llmd explain` can tell why.
  void refuse(std::string_view request_id, const Error& error);
  /// The request is over.
  void finish(const Route& route, const Outcome& outcome, TimePoint now);

  /// Whether a request could be served now, see Scheduler::can_serve().
  [[nodiscard]] bool can_serve(TimePoint now) const;

  [[nodiscard]] std::optional<RequestRecord> find(std::string_view request_id) const;
  /// The endpoint lost what it held: it left, or is a new process.
  void forget(std::string_view endpoint);
  /// Forgets endpoints that have left the pool, and gives others another role. About once a second.
  void sweep(TimePoint now);

  /// Shares ownership of the configuration that decides now.
  [[nodiscard]] std::shared_ptr<const scheduling::Scheduler> scheduler() const;
  /// What learns the weights of the configuration that decides now; null: nothing does.
  [[nodiscard]] std::shared_ptr<scheduling::WeightLearner> weight_learner() const {
    return active()->memory.weight_learner();
  }
  [[nodiscard]] PrefixIndex::Stats prefix_stats() const { return index_->stats(); }
  /// What plugins remember now, as plugin_states_json() writes it. `more` are configured plugins that the scheduler
  /// does not know: those of flow control. For people: milliseconds with large pools.
  [[nodiscard]] std::string plugin_states(TimePoint now, std::chrono::sys_seconds at,
                                          std::span<const scheduling::PluginInstance> more = {}) const;

 private:
  /// A scheduler with what its plugins remember.
  struct Active {
    scheduling::Scheduler scheduler;
    scheduling::SchedulerMemory memory;
    std::uint64_t number = 0;
    std::shared_ptr<const eppmetrics::PluginTimes> times{};  // null: nobody asks
  };
  [[nodiscard]] static RequestFacts make_facts(const RouteRequest& request, const scheduling::Scheduler& scheduler,
                                               const BlockScheme& scheme, std::string& scratch);
  [[nodiscard]] static RequestFacts facts_for(const RouteRequest& request, const Active& active,
                                              const EndpointSnapshot& snapshot, std::string& scratch);
  /// What the router's own yardstick rests on for the endpoint that was chosen.
  [[nodiscard]] LatencyBasis measure_by(const Route& route, const scheduling::Scheduler& scheduler,
                                        const EndpointSnapshot& snapshot, std::span<const scheduling::LiveLoad> live,
                                        TimePoint now);
  /// Whether a decision is worth a full explanation before anything is known of it.
  [[nodiscard]] bool wants_all(const RouteRequest& request, TimePoint now);
  /// The record of a decision, which is made anew with a full explanation if it is a refusal.
  [[nodiscard]] RequestRecord decide(const RouteRequest& request, const scheduling::Scheduler& scheduler,
                                     const scheduling::DecisionInput& input, RouteScratch& scratch, Decision& decision);
  void count(Decision::Outcome outcome);
  void keep(RequestRecord&& record);
  [[nodiscard]] std::shared_ptr<const Active> active() const;

  pool::Pool& pool_;
  const std::uint64_t seed_;
  Budget explained_budget_;
  Budget brief_budget_;
  Budget failed_budget_;
  Budget refused_budget_;
  Budget index_budget_;
  ExplanationRing ring_;
  RateLimit explained_;  // without being asked
  RateLimit asked_for_;  // by clients, or because it is refused
  std::unique_ptr<PrefixIndex> index_;
  std::unique_ptr<RoleKeeper> roles_;  // null: roles stay
  const bool measures_slowness_;
  eppmetrics::EppMetrics* const epp_metrics_;  // may be null
  /// How slow requests were for their endpoint's class, under configurations that predict no latencies.
  scheduling::LatencyPredictor yardstick_{{}};
  mutable std::mutex mutex_;  // guards the two below
  std::shared_ptr<const Active> active_;
  std::set<std::string> known_endpoints_;
  Histogram& decision_seconds_;
  Counter& dispatched_;
  Counter& without_endpoint_;
  Counter& model_unknown_;
  Counter& not_admitted_;
  Counter& kept_in_full_;
  Counter& kept_in_brief_;
  Counter& not_kept_;
  Histogram& ttft_errors_;
  Histogram& tpot_errors_;
  LearnedWeightMetrics learned_weights_;
};

}  // namespace llmd::routing
