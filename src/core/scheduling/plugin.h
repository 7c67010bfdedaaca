#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "model/decision.h"
#include "model/endpoint.h"
#include "model/request_facts.h"
#include "scheduling/endpoint_cache.h"
#include "scheduling/plugin_state.h"
#include "scheduling/scheduler.h"

namespace llmd::scheduling {

/// What a plugin reads of an endpoint beside its fixed part. A plugin may read only what it consumes.
enum class Metric : std::uint32_t {
  kWaiting = 1U << 0U,
  kRunning = 1U << 1U,
  kKvUsage = 1U << 2U,
  kPrefixMatch = 1U << 3U,
  kInflight = 1U << 4U,
  kLora = 1U << 5U,
  kSignal = 1U << 6U,  // which one: Scorer::signal()
  kPrediction = 1U << 7U,
  kMedia = 1U << 8U,
};

/// A set of Metric.
class MetricSet {
 public:
  constexpr MetricSet() noexcept = default;
  constexpr MetricSet(Metric metric) noexcept
      : bits_{static_cast<std::uint32_t>(metric)} {}  // NOLINT(google-explicit-constructor): a set of one
  [[nodiscard]] constexpr bool has(Metric metric) const noexcept {
    return (bits_ & static_cast<std::uint32_t>(metric)) != 0;
  }
  friend constexpr MetricSet operator|(MetricSet a, MetricSet b) noexcept {
    MetricSet both;
    both.bits_ = a.bits_ | b.bits_;
    return both;
  }

 private:
  std::uint32_t bits_ = 0;
};

/// An endpoint's place in the snapshot.
using EndpointIndex = std::uint32_t;

/// The score of a candidate whose metric is missing or too old. The scheduler puts the mean of the other candidates in
/// its place, 0.5 if there is none, so that no data neither favours nor starves an endpoint, and names it in the
/// explanation.
inline constexpr float kNoData = std::numeric_limits<float>::quiet_NaN();

/// No endpoint.
inline constexpr EndpointIndex kNoEndpointIndex = std::numeric_limits<EndpointIndex>::max();

/// What a model expects of the request on one endpoint.
struct LatencyPrediction {
  bool known = false;
  float ttft_ms = 0;
  float tpot_ms = 0;
  float ttft_deviation_ms = 0;  // standard deviation of what will be seen
  float tpot_deviation_ms = 0;
  float prefill_ms = 0;      // engine time that the uncached part of the prompt takes there
  float sequence_ms = 0;     // that one more sequence adds to each token of the others
  float output_tokens = 0;   // mean of the endpoint's class
  float arrivals_per_s = 0;  // requests that were sent there lately
  float prefill_share = 0;   // of its time, that their prompts take
  float advantage_ms = 0;    // mean of how much later their first tokens would have come from the next best endpoint
  /// The tightest TPOT objective among the requests that run there, infinite if none has one.
  float tpot_slo_running_ms = std::numeric_limits<float>::infinity();
};

/// What a model expects of the decode leg of a request whose prompt is computed elsewhere.
struct HandoffPrediction {
  bool known = false;
  // From the end of the prefill leg to the first token: whatever comes, for each thousand tokens of KV that come over a
  // link of kLinkReferenceMbps and over any link, and for each ms of the link's latency.
  float base_ms = 0;
  float moved_ms = 0;
  float received_ms = 0;
  float latency_ms = 0;
  float deviation = 0;  // standard deviation, relative
  float tpot_ms = 0;
  float tpot_deviation_ms = 0;
};

/// What a plugin instance remembers from request to request. Thread-safe; made by its plugin, owned by the host.
class PluginMemory {
 public:
  PluginMemory() = default;
  PluginMemory(const PluginMemory&) = delete;
  PluginMemory& operator=(const PluginMemory&) = delete;
  virtual ~PluginMemory() = default;
  /// What is remembered, in figures. May take long: for people, not for decisions.
  [[nodiscard]] virtual PluginState state() const = 0;
};

/// What plugins see. All spans have one element an endpoint of the snapshot; matched_blocks, predictions and
/// media_matched are empty if nothing makes them, serves if the request names no model.
struct PluginInput {
  const RequestFacts& request;
  std::span<const EndpointState> endpoints;
  std::span<const std::uint32_t> matched_blocks;
  std::span<const LiveLoad> live;
  std::span<const std::uint8_t> serves;  // EndpointCache::serving() of the request's model
  TimePoint now;
  Duration metric_age_max;
  std::span<const LatencyPrediction> predictions{};
  std::span<const HandoffPrediction> handoffs{};  // only if a decider chooses pairs
  /// Endpoints that may prefill for this request, best first. Empty unless a decider chooses pairs and this is the
  /// decode profile.
  std::span<const EndpointIndex> prefills{};
  std::span<const float> media_matched{};  // weight of the request's media that the endpoint has encoded
  /// The endpoint that an earlier stage of the same request chose, to be near to.
  EndpointIndex peer = kNoEndpointIndex;
  const LinkTable* links = nullptr;          // what is known of the network between endpoints; null: nothing
  float prefix_heat = 0;                     // recent uses of what is known of the prompt: PrefixMatch::heat
  std::span<const std::uint8_t> eligible{};  // DecisionInput::eligible

  /// Uniform in [0, 1), one for the whole decision; drawn only if a screener is configured, else 0.
  double decision_chance = 0;

  // Of the plugin that is called, set by the profile:
  std::span<const FixedValue> fixed{};  // what its fixed_value() said; empty if it has none
  PluginMemory* memory = nullptr;       // what its make_memory() gave; null if nothing, or the host keeps none
  double chance = 0;                    // uniform in [0, 1), drawn for this call

  [[nodiscard]] std::uint64_t inflight_tokens(EndpointIndex i) const noexcept {
    return live.empty() ? endpoints[i].inflight_tokens : live[i].tokens;
  }
  /// The signal, if it was told and is not too old.
  [[nodiscard]] std::optional<float> signal(EndpointIndex i, Signal signal) const noexcept {
    const EndpointSignals* known = endpoints[i].signals.get();
    if (known == nullptr) return std::nullopt;
    return fresh((*known)[signal]);
  }
  /// What of the prompt the endpoint probably has cached, in tokens, at most the whole prompt.
  [[nodiscard]] std::uint32_t matched_tokens(EndpointIndex i) const noexcept {
    if (matched_blocks.empty()) return 0;
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(std::uint64_t{matched_blocks[i]} * request.prefix.block_tokens, request.prompt_tokens));
  }
  [[nodiscard]] std::uint32_t inflight_requests(EndpointIndex i) const noexcept {
    return live.empty() ? endpoints[i].inflight_requests : live[i].requests;
  }
  /// The reading's value, if there is one that is not too old.
  template <class T>
  [[nodiscard]] std::optional<T> fresh(const Reading<T>& reading) const noexcept {
    // Not the reading's optional itself: copied as a whole it goes through memory, which costs 10 cycles an endpoint.
    if (!reading.value || now - reading.at > metric_age_max) return std::nullopt;
    return *reading.value;
  }
};

/// A request that was sent, for plugins that remember.
struct SentRequest {
  const RequestFacts& request;
  const Decision& decision;
  TimePoint now;
};

/// A request whose answer is about to go to the client.
struct AnsweredRequest {
  const RequestFacts& request;
  const Decision& decision;  // as it was dispatched
  const Endpoint& endpoint;  // that served it: the decode endpoint, or the fallback that took its place
};

/// What all plugins may have beside their verb. Immutable, so shared by all threads.
class Plugin {
 public:
  virtual ~Plugin() = default;
  /// Whether fixed_value() counts. What a plugin needs of labels and names belongs there: it is called once an endpoint
  /// object, not once a decision.
  [[nodiscard]] virtual bool has_fixed_value() const noexcept { return false; }
  [[nodiscard]] virtual FixedValue fixed_value(const Endpoint& /*endpoint*/) const { return {}; }
  /// Null: it remembers nothing. With memory, sent() is called for each request that was sent.
  [[nodiscard]] virtual std::unique_ptr<PluginMemory> make_memory() const { return nullptr; }
  virtual void sent(const SentRequest& /*sent*/, PluginMemory& /*memory*/) const {}
  /// Adds headers to the answer.
  virtual void answer(const AnsweredRequest& /*answered*/, std::vector<Header>& /*headers*/) const {}
  /// Adds the names of the request headers that it reads, in lower case.
  virtual void headers_read(std::vector<std::string>& /*names*/) const {}
};

/// Drops endpoints that must not get the request.
class Filter : public Plugin {
 public:
  /// Moves the kept candidates to the front, in their order, and returns how many. O(candidates), no allocation.
  [[nodiscard]] virtual std::size_t filter(const PluginInput& input,
                                           std::span<EndpointIndex> candidates) const noexcept = 0;
  /// Why filter() drops this endpoint: one clause, what was seen against what is wanted.
  [[nodiscard]] virtual std::string reason(const PluginInput& input, EndpointIndex endpoint) const = 0;
};

/// Says how full endpoints are. As a filter it drops those that are.
class SaturationDetector : public Filter {
 public:
  /// 1: full. May be more; 1 if there are no endpoints. O(endpoints), no allocation.
  [[nodiscard]] virtual float saturation(const PluginInput& input,
                                         std::span<const EndpointIndex> endpoints) const noexcept = 0;
};

/// Says how well each candidate suits the request.
class Scorer : public Plugin {
 public:
  [[nodiscard]] virtual MetricSet consumes() const noexcept = 0;
  /// Pre: scores.size() == candidates.size(). Post: every score is kNoData or a number; the scheduler clamps it to [0,
  /// 1]. O(candidates), no allocation.
  virtual void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                     std::span<float> scores) const noexcept = 0;
  /// The signal that it reads, for its age in the explanation. Pre: consumes() has kSignal.
  [[nodiscard]] virtual std::optional<Signal> signal() const noexcept { return std::nullopt; }
};

/// A candidate's place in the order of preference: higher rank first, among equals higher tie first.
struct PickKey {
  double rank = 0;
  std::uint64_t tie = 0;
  std::uint32_t position = 0;  // in the candidates; set by the scheduler
};

/// Orders the scored candidates.
class Picker : public Plugin {
 public:
  /// Pre: keys.size() == totals.size(). Sets rank and tie of each. O(candidates), no allocation.
  virtual void rank(std::span<const float> totals, Rng& rng, std::span<PickKey> keys) const noexcept = 0;
  /// How many endpoints the configuration wants named.
  [[nodiscard]] virtual std::uint32_t endpoints_max() const noexcept = 0;
};

enum class StageRoute : std::uint8_t {
  kSkip,  // the decode endpoint does it
  kRun,   // the stage's profile runs; its endpoint gets a leg before
};

/// What a decider may look at: the prompt, and what of it the chosen decode endpoint probably holds.
struct StageFacts {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_tokens = 0;
  std::uint32_t media_items = 0;
};

struct StageDecision {
  StageRoute route = StageRoute::kSkip;
  std::string_view rule;  // static text
  std::uint32_t observed = 0;
  std::uint32_t limit = 0;
};

/// Who computes the prompt and who answers.
struct PairDecision {
  StageDecision route{};
  EndpointIndex decode = kNoEndpointIndex;
  EndpointIndex prefill = kNoEndpointIndex;  // kNoEndpointIndex: `decode` computes the prompt
};

/// Whether a request is worth a leg of its own for prefill, or for encoding its media.
class Decider : public Plugin {
 public:
  [[nodiscard]] virtual StageDecision decide(const StageFacts& facts) const noexcept = 0;
  /// Of a prefill decider: choose() is asked in the place of decide(), after both profiles have run.
  [[nodiscard]] virtual bool chooses_pairs() const noexcept { return false; }
  /// Pre: chooses_pairs(); `decodes` (best first) is not empty; input.prefills are those of the prefill profile.
  [[nodiscard]] virtual PairDecision choose(const PluginInput& /*input*/,
                                            std::span<const EndpointIndex> /*decodes*/) const noexcept {
    return {};
  }
};

/// Whether a request may be scheduled at all. Asked before any profile runs, of all endpoints that serve its model.
class Admitter : public Plugin {
 public:
  /// Null: it may. Else why not: static text. O(candidates), no allocation.
  [[nodiscard]] virtual const char* refuses(const PluginInput& input,
                                            std::span<const EndpointIndex> candidates) const noexcept = 0;
};

}  // namespace llmd::scheduling
