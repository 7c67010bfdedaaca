#pragma once

#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "flow/item.h"

namespace llmd::flow {

/// A flow's number within its band. Numbers of flows that are forgotten are given again, so they stay dense.
using FlowId = std::uint32_t;

/// The request of a flow that goes first.
struct Head {
  OrderKey key;
  TimePoint enqueued{};
};

/// What one request takes: told when it is let through, and corrected when it has ended.
struct Charge {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t output_tokens_expected = 0;
};

/// Which flow of a band goes next, and the memory of who got what: one object a band. A flow is active while it has
/// waiting requests. Deterministic; not thread-safe; a change costs at most O(log flows).
class FairnessIndex {
 public:
  FairnessIndex() = default;
  FairnessIndex(const FairnessIndex&) = delete;
  FairnessIndex& operator=(const FairnessIndex&) = delete;
  virtual ~FairnessIndex() = default;

  /// Pre: the flow is not active.
  virtual void activate(FlowId flow, const Head& head, TimePoint now) = 0;
  /// Pre: the flow is active.
  virtual void head_changed(FlowId flow, const Head& head) = 0;
  /// Pre: the flow is active.
  virtual void deactivate(FlowId flow) = 0;
  /// The flow whose head goes next; changes nothing. Pre: one is active.
  [[nodiscard]] virtual FlowId pick(TimePoint now) = 0;

  /// The picked flow's head is let through. Called before head_changed() or deactivate().
  virtual void dispatched(FlowId /*flow*/, const Charge& /*charge*/, TimePoint /*now*/) {}
  /// It has ended, with so many tokens of output. The flow may be inactive.
  virtual void finished(FlowId /*flow*/, const Charge& /*charge*/, std::uint32_t /*output_tokens*/, TimePoint /*now*/) {
  }
  /// The tokens that count for what the flow got so far, as the policy weighs them; 0 if it keeps no such account.
  [[nodiscard]] virtual double service(FlowId /*flow*/, TimePoint /*now*/) const { return 0; }
  /// The number is given to another flow. Pre: the flow is not active.
  virtual void forget(FlowId /*flow*/) {}
};

/// A fairness policy as configured: makes the index of a band. Immutable.
class FairnessPolicy {
 public:
  FairnessPolicy() = default;
  FairnessPolicy(const FairnessPolicy&) = delete;
  FairnessPolicy& operator=(const FairnessPolicy&) = delete;
  virtual ~FairnessPolicy() = default;
  [[nodiscard]] virtual std::unique_ptr<FairnessIndex> make_index() const = 0;
  /// After how long without a request a flow is forgotten.
  [[nodiscard]] virtual Duration idle_max() const noexcept { return std::chrono::minutes{5}; }
  /// It is llm-d's program-aware-fairness, which has series of its own.
  [[nodiscard]] virtual bool program_aware() const noexcept { return false; }
};

}  // namespace llmd::flow
