#pragma once

#include <vector>

#include "flow/fairness/fairness_index.h"
#include "flow/indexed_heap.h"

namespace llmd::flow {

/// The active flows of a band, smallest key first.
template <class Key>
class FlowHeap {
 public:
  [[nodiscard]] bool empty() const noexcept { return heap_.empty(); }
  /// Pre: !empty().
  [[nodiscard]] const auto& top() const noexcept { return heap_.top(); }
  [[nodiscard]] bool contains(FlowId flow) const noexcept { return flow < places_.size() && places_[flow] != kAbsent; }
  void push(FlowId flow, Key key) {
    if (flow >= places_.size()) places_.resize(flow + 1, kAbsent);
    heap_.push(flow, key, place());
  }
  void update(FlowId flow, Key key) { heap_.update(flow, key, place()); }
  void erase(FlowId flow) {
    heap_.erase(flow, place());
    places_[flow] = kAbsent;
  }

 private:
  static constexpr std::uint32_t kAbsent = UINT32_MAX;
  auto place() {
    return [this](FlowId flow) -> std::uint32_t& { return places_[flow]; };
  }
  IndexedHeap<Key> heap_;
  std::vector<std::uint32_t> places_;  // by flow
};

}  // namespace llmd::flow
