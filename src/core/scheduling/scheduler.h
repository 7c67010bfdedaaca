#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/rng.h"
#include "model/decision.h"
#include "model/endpoint.h"
#include "model/explanation.h"
#include "model/media_estimate.h"
#include "model/request_facts.h"
#include "prefix/prefix_index.h"
#include "scheduling/config.h"
#include "scheduling/observed_latency.h"
#include "scheduling/plugin_state.h"
#include "scheduling/plugin_timing.h"

namespace llmd::scheduling {

/// What is in flight at one endpoint right now, read from the live counters beside the snapshot.
struct LiveLoad {
  std::uint32_t requests = 0;
  std::uint64_t tokens = 0;          // as Scheduler::LoadTokens counts them
  std::uint32_t prefilling = 0;      // of the requests, without a first token yet
  std::uint64_t prefill_tokens = 0;  // of their prompts, not cached
  std::uint64_t context_tokens = 0;  // prompts of all requests
  // Of the prompt that is computed now, as far as can be told from here: its tokens (of one that waited, the mean of
  // those that did) and since when.
  std::uint64_t prefill_head = 0;
  TimePoint prefill_since{};

  /// A prompt came to those that wait, and counts among them.
  void prompt_sent(std::uint64_t to_compute, TimePoint now) noexcept {
    prefill_tokens += to_compute;
    if (prefilling++ > 0) return;
    prefill_head = to_compute;
    prefill_since = now;
  }
  /// One no longer does: it has its first token or, without `computed`, is over.
  void prompt_left(std::uint64_t to_compute, std::optional<TimePoint> computed) noexcept {
    prefill_tokens -= to_compute;
    if (!computed && to_compute == prefill_head) prefill_head = 0;  // which one is next is not known
    if (--prefilling == 0 || !computed) return;
    prefill_head = prefill_tokens / prefilling;
    prefill_since = *computed;
  }
};

class LatencyPredictor;
class WeightLearner;
class PluginMemory;
class MediaIndex;

/// What the plugins of one scheduler remember from request to request: session bindings, orders of use. Thread-safe, as
/// each part is. A scheduler made from a changed configuration takes over the memory of plugins that kept name and
/// type.
class SchedulerMemory {
 public:
  SchedulerMemory() = default;
  /// Null: no weights are learned. It may be asked, frozen and reset.
  [[nodiscard]] const std::shared_ptr<WeightLearner>& weight_learner() const noexcept { return learner_; }
  /// What each part remembers, in figures.
  [[nodiscard]] std::vector<NamedPluginState> states() const;

 private:
  friend class Scheduler;
  std::vector<std::string> names_;
  std::vector<std::shared_ptr<PluginMemory>> parts_;
  std::shared_ptr<MediaIndex> media_;            // null: nobody asks for it
  std::shared_ptr<LatencyPredictor> predictor_;  // null: the same
  std::shared_ptr<WeightLearner> learner_;       // null: no weights are learned
};

/// Everything that a decision may look at. References only: nothing is kept beyond the call.
struct DecisionInput {
  const RequestFacts& request;
  const EndpointSnapshot& snapshot;
  const PrefixIndex& index;
  TimePoint now;
  /// One an endpoint, in the snapshot's order. Empty: the in-flight numbers of the snapshot count.
  std::span<const LiveLoad> live{};
  /// Made by the scheduler that decides. Null: plugins decide as if nothing had been before.
  const SchedulerMemory* memory = nullptr;
  /// Leading blocks of the prompt that each endpoint holds, one an endpoint in the snapshot's order, where that is
  /// known exactly (from KV events). Empty, or of another size: `index` is asked.
  std::span<const std::uint32_t> matched_blocks{};
  /// One mark an endpoint in the snapshot's order: 0 for those that the request may not go to. Empty: to all.
  std::span<const std::uint8_t> eligible{};
  /// Told of each call of a plugin; null: nothing is timed.
  PluginTiming* timing = nullptr;
};

/// The working memory of decisions: one object a loop or thread, reused. After a few calls a decision allocates nothing
/// but what its Decision and Explanation hold.
class DecisionScratch {
 public:
  DecisionScratch();
  ~DecisionScratch();
  DecisionScratch(DecisionScratch&&) noexcept;
  DecisionScratch& operator=(DecisionScratch&&) noexcept;

 private:
  friend class Scheduler;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Filters → scorers → picker on a snapshot, for each profile that the profile handler asks for. Pure: the same input,
/// Rng state and config give the same decision. Immutable after make(), so one object serves all threads; a new config
/// is a new Scheduler, swapped in as shared_ptr<const Scheduler>. About 15 us for 1,000 endpoints and 3 scorers.
class Scheduler {
 public:
  /// Applies the defaults and builds the plugins. Error kConfigInvalid: unknown type, duplicate or undefined name, a
  /// value out of range, a plugin in a place that its kind does not fit, more than one profile handler or a handler
  /// without its profiles.
  [[nodiscard]] static Result<Scheduler> make(SchedulingConfig config);
  ~Scheduler();
  Scheduler(Scheduler&&) noexcept;
  Scheduler& operator=(Scheduler&&) noexcept;

  /// Never fails: bad data degrades the decision, and `explanation` (may be null) says so: all of it is filled but
  /// `brief`, which the caller has set. Explained or not, the decision and what is drawn from `rng` are the same. The
  /// caller acts on Decision::outcome, raises the in-flight counters of the chosen endpoints, and calls remember() once
  /// it has dispatched.
  [[nodiscard]] Decision decide(const DecisionInput& input, Rng& rng, DecisionScratch& scratch,
                                Explanation* explanation) const;

  /// Memory for its plugins; `seed` is of tables that clients must not aim at. What `before` (may be null) holds of a
  /// plugin with the same name and type goes on.
  [[nodiscard]] SchedulerMemory make_memory(const SchedulerMemory* before, std::uint64_t seed = 0) const;
  /// The request was sent as decided. Pre: `memory` is this scheduler's.
  void sent(const RequestFacts& request, const Decision& decision, TimePoint now, const SchedulerMemory& memory) const;
  /// What became of it, for those that learn, and what they learned: nothing if they do not, or the times are not the
  /// endpoint's. Pre: `memory` is this scheduler's.
  std::optional<ObservedLatency> finished(const Decision& decision, const Outcome& outcome, TimePoint now,
                                          const SchedulerMemory& memory) const;
  /// The endpoint left, or is a new process: what is known of this one endpoint no longer holds.
  static void forget(std::string_view endpoint, const SchedulerMemory& memory);
  /// All but these left.
  static void keep_only(const std::set<std::string>& endpoints, const SchedulerMemory& memory);
  /// Headers to add to the answer that `endpoint` gave to a request that was sent as decided.
  [[nodiscard]] std::vector<Header> answer_headers(const RequestFacts& request, const Decision& decision,
                                                   const Endpoint& endpoint) const;
  /// The request headers that plugins read, in lower case: what RequestFacts::headers must hold.
  [[nodiscard]] const std::vector<std::string>& headers_read() const noexcept;

  /// What DecisionInput::timing is told of, by place: one for each name at each extension point.
  [[nodiscard]] const std::vector<TimedPlugin>& timed_plugins() const noexcept;

  /// Whether a request could be served now: the decode profile's filters keep an endpoint that is ready or on trial.
  /// For health checks, not for the hot path: it allocates. `live` as DecisionInput has it.
  [[nodiscard]] bool can_serve(const EndpointSnapshot& snapshot, std::span<const LiveLoad> live = {}) const;

  /// With defaults applied.
  [[nodiscard]] const SchedulingConfig& config() const noexcept;
  /// How `routing` must make RequestFacts::prefix, and how large an index it wants.
  [[nodiscard]] const PrefixOptions& prefix_options() const noexcept;
  /// How many tokens images and videos of a prompt are taken for.
  [[nodiscard]] const MediaEstimate& media_estimate() const noexcept;
  /// Tokens that the request adds to those in flight at the decode endpoint: the prompt's until its first token, then
  /// the estimate of the answer's until it ends.
  struct LoadTokens {
    std::uint64_t prompt = 0;
    std::uint64_t output = 0;
  };
  [[nodiscard]] LoadTokens load_tokens(const RequestFacts& request, const Decision& decision) const noexcept;
  /// Whether a profile handler may choose a prefill leg.
  [[nodiscard]] bool disaggregates() const noexcept;

 private:
  struct Impl;
  explicit Scheduler(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

/// Tells the index what was sent where and when: the decode endpoint and, if there is one, the prefill endpoint.
void remember(const Decision& decision, const PrefixKey& key, PrefixIndex& index, TimePoint now);

/// The block size to cut prompts with now: with auto_tune the one that the first endpoint with a reading reports, else
/// the configured one; never below 64 tokens.
[[nodiscard]] std::uint32_t effective_block_tokens(const PrefixOptions& options,
                                                   const EndpointSnapshot& snapshot) noexcept;

/// The estimate of an answer's length that counts as load: 0 unless the options ask for it, else a share of the prompt,
/// at most what the client allows.
[[nodiscard]] std::uint64_t estimated_output_tokens(const InflightOptions& options,
                                                    const RequestFacts& request) noexcept;

/// How many blocks of that size to cut of one prompt at most: PrefixKeyOptions::blocks_max.
[[nodiscard]] std::uint32_t effective_blocks_max(const PrefixOptions& options, std::uint32_t block_tokens) noexcept;

}  // namespace llmd::scheduling
