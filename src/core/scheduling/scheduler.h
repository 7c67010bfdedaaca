#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/rng.h"
#include "model/decision.h"
#include "model/endpoint.h"
#include "model/request_facts.h"
#include "prefix/prefix_index.h"
#include "scheduling/config.h"

namespace llmd::scheduling {

/// What is in flight at one endpoint right now, read from the live counters beside the snapshot.
struct LiveLoad {
  std::uint32_t requests = 0;
  std::uint64_t tokens = 0;
};

/// Everything that a decision may look at. References only: nothing is kept beyond the call.
struct DecisionInput {
  const RequestFacts& request;
  const EndpointSnapshot& snapshot;
  const PrefixIndex& index;
  TimePoint now;
  /// One an endpoint, in the snapshot's order. Empty: the in-flight numbers of the snapshot count.
  std::span<const LiveLoad> live{};
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

  /// Never fails: bad data degrades the decision, and `explanation` (may be null) says so. Its request_id and
  /// everything but the outcome are filled. The caller acts on Decision::outcome, raises the in-flight counters of the
  /// chosen endpoints, and calls remember() once it has dispatched.
  [[nodiscard]] Decision decide(const DecisionInput& input, Rng& rng, DecisionScratch& scratch,
                                Explanation* explanation) const;

  /// Whether a request could be served now: the decode profile's filters keep an endpoint that is ready or on trial.
  /// For health checks, not for the hot path: it allocates.
  [[nodiscard]] bool can_serve(const EndpointSnapshot& snapshot) const;

  /// With defaults applied.
  [[nodiscard]] const SchedulingConfig& config() const noexcept;
  /// How `routing` must make RequestFacts::prefix, and how large an index it wants.
  [[nodiscard]] const PrefixOptions& prefix_options() const noexcept;
  /// Whether a profile handler may choose a prefill leg.
  [[nodiscard]] bool disaggregates() const noexcept;

 private:
  struct Impl;
  explicit Scheduler(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

/// Tells the index what was sent where: the decode endpoint and, if there is one, the prefill endpoint.
void remember(const Decision& decision, const PrefixKey& key, PrefixIndex& index);

/// The block size to cut prompts with now: with auto_tune the one that the first endpoint with a reading reports, else
/// the configured one; never below 64 tokens.
[[nodiscard]] std::uint32_t effective_block_tokens(const PrefixOptions& options,
                                                   const EndpointSnapshot& snapshot) noexcept;

/// How many blocks of that size to cut of one prompt at most: PrefixKeyOptions::blocks_max.
[[nodiscard]] std::uint32_t effective_blocks_max(const PrefixOptions& options, std::uint32_t block_tokens) noexcept;

}  // namespace llmd::scheduling
