#pragma once

#include <cstdint>
#include <vector>

#include "flow/fairness/fairness_index.h"
#include "flow/item.h"
#include "flow/ordering/ordering_policy.h"

namespace llmd::flow {

class Band;

/// A request's number while it waits.
using ItemIndex = std::uint32_t;
inline constexpr ItemIndex kNoItem = UINT32_MAX;

/// A waiting request.
struct Item {
  std::uint64_t id = 0;
  std::uint64_t bytes = 0;
  OrderFacts facts{};
  OrderKey key{};
  std::uint32_t prompt_tokens = 0;
  Band* band = nullptr;  // null: the number is free
  FlowId flow = 0;
  std::uint32_t place = 0;  // in its flow's heap
  std::uint32_t generation = 0;
  ItemIndex older = kNoItem;  // by when it was enqueued
  ItemIndex newer = kNoItem;
};

/// All waiting requests, and their order of arrival: as all have the same time to live, also the order in which that
/// ends. O(1) each; 120 bytes a request.
class ItemStore {
 public:
  [[nodiscard]] Item& operator[](ItemIndex index) noexcept { return items_[index]; }
  [[nodiscard]] const Item& operator[](ItemIndex index) const noexcept { return items_[index]; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] ItemIndex oldest() const noexcept { return oldest_; }

  /// A new item, the newest. Its band must be set.
  [[nodiscard]] ItemIndex add() {
    ItemIndex index = free_;
    if (index == kNoItem) {
      index = static_cast<ItemIndex>(items_.size());
      items_.emplace_back();
    } else {
      free_ = items_[index].newer;
    }
    Item& item = items_[index];
    item.older = newest_;
    item.newer = kNoItem;
    (newest_ == kNoItem ? oldest_ : items_[newest_].newer) = index;
    newest_ = index;
    ++size_;
    return index;
  }
  void remove(ItemIndex index) noexcept {
    const Item& item = items_[index];
    (item.older == kNoItem ? oldest_ : items_[item.older].newer) = item.newer;
    (item.newer == kNoItem ? newest_ : items_[item.newer].older) = item.older;
    items_[index] = Item{.generation = item.generation + 1, .newer = free_};
    free_ = index;
    --size_;
  }
  [[nodiscard]] Ticket ticket(ItemIndex index) const noexcept { return {index, items_[index].generation}; }
  /// kNoItem if it does not wait any more.
  [[nodiscard]] ItemIndex find(Ticket ticket) const noexcept {
    const bool waits = ticket.index < items_.size() && items_[ticket.index].generation == ticket.generation &&
                       items_[ticket.index].band != nullptr;
    return waits ? ticket.index : kNoItem;
  }

 private:
  std::vector<Item> items_;
  ItemIndex free_ = kNoItem;  // a list through Item::newer
  ItemIndex oldest_ = kNoItem;
  ItemIndex newest_ = kNoItem;
  std::size_t size_ = 0;
};

}  // namespace llmd::flow
