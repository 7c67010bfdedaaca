#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/hash.h"
#include "flow/drain_rate.h"
#include "flow/indexed_heap.h"
#include "flow/item_store.h"
#include "flow/rules.h"

namespace llmd::flow {

/// One priority's waiting requests, by flow. Owns its flows and the memory of what each got; the items are the store's.
/// Not thread-safe. A change costs O(log flows + log requests of the flow).
class Band {
 public:
  /// Idle flows that are remembered at most; beyond, the longest idle are forgotten.
  static constexpr std::size_t kIdleFlowsMax = 16'384;

  Band(std::int32_t priority, bool listed, BandRules rules, std::uint64_t seed);
  Band(const Band&) = delete;
  Band& operator=(const Band&) = delete;

  [[nodiscard]] std::int32_t priority() const noexcept { return priority_; }
  [[nodiscard]] bool listed() const noexcept { return listed_; }
  [[nodiscard]] const BandRules& rules() const noexcept { return rules_; }
  [[nodiscard]] std::uint64_t waiting() const noexcept { return waiting_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t flows() const noexcept { return flows_.size() - unused_.size(); }
  /// Since when it is passed over: the last dispatch, or when it began to have requests.
  [[nodiscard]] TimePoint passed_over_since() const noexcept { return passed_over_since_; }
  [[nodiscard]] TimePoint idle_since() const noexcept { return idle_since_; }
  [[nodiscard]] const DrainRate& drain() const noexcept { return drain_; }

  /// Pre: the rules order alike, or nothing waits.
  void set_rules(BandRules rules, bool listed);
  /// The item's id, facts and sizes are set; it gets its key, band and flow.
  void insert(ItemStore& items, ItemIndex index, std::string_view fairness_id, std::uint64_t sequence, TimePoint now);
  /// The item that goes next. Pre: waiting() > 0.
  [[nodiscard]] ItemIndex pick(TimePoint now);
  /// The picked item is let through: its flow is charged. The tokens of output that its flow was charged for.
  std::uint32_t charge(const ItemStore& items, ItemIndex index, TimePoint now);
  /// Takes the item out; it stays in the store.
  void remove(ItemStore& items, ItemIndex index, TimePoint now);
  /// A request that was let through has ended.
  void finish(std::string_view fairness_id, const Charge& charge, std::uint32_t output_tokens, TimePoint now);

  [[nodiscard]] std::string_view flow_name(FlowId flow) const noexcept { return flows_[flow].name; }
  /// What the flow got, as the fairness policy weighs it.
  [[nodiscard]] double service_of(std::string_view fairness_id, TimePoint now) const;
  /// For tests: counts, heads and heaps agree. O(requests).
  [[nodiscard]] bool check_integrity(const ItemStore& items) const;

 private:
  static constexpr FlowId kNoFlow = UINT32_MAX;
  struct Flow {
    std::string name;
    IndexedHeap<OrderKey> items;
    std::uint64_t bytes = 0;
    double output_mean = 0;  // tokens of an answer, of late; 0: none has ended yet
    TimePoint idle_since{};
    FlowId longer_idle = kNoFlow;  // among the idle ones
    FlowId less_idle = kNoFlow;
  };
  struct SeededHash {
    std::uint64_t seed;
    std::size_t operator()(std::string_view text) const noexcept { return xxh64(text, seed); }
  };

  FlowId flow_of(std::string_view fairness_id, TimePoint now);
  void become_idle(FlowId flow, TimePoint now);
  void leave_idle(FlowId flow);
  void forget_idle(TimePoint now);
  [[nodiscard]] static Head head_of(const ItemStore& items, const Flow& flow);

  const std::int32_t priority_;
  bool listed_;
  BandRules rules_;
  std::unique_ptr<FairnessIndex> fairness_;
  std::deque<Flow> flows_;  // stay where they are: `by_name_` refers to their names
  std::vector<FlowId> unused_;
  std::unordered_map<std::string_view, FlowId, SeededHash> by_name_;
  FlowId longest_idle_ = kNoFlow;
  FlowId least_idle_ = kNoFlow;
  std::size_t idle_ = 0;
  std::uint64_t waiting_ = 0;
  std::uint64_t bytes_ = 0;
  TimePoint passed_over_since_{};
  TimePoint idle_since_{};
  DrainRate drain_;
};

}  // namespace llmd::flow
