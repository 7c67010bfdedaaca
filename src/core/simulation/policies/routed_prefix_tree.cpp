#include "simulation/policies/routed_prefix_tree.h"

#include <algorithm>
#include <queue>

namespace llmd::simulation {
namespace {

constexpr std::uint64_t kRememberEvery = 16;  // touches

}  // namespace

RoutedPrefixTree::Holder* RoutedPrefixTree::find(Node& node, std::uint32_t worker) noexcept {
  const auto known = std::ranges::find(node.holders, worker, &Holder::worker);
  return known == node.holders.end() ? nullptr : &*known;
}

std::uint32_t RoutedPrefixTree::any_worker(Node& node) noexcept {
  const bool usable = node.remembered != kNoEndpoint && find(node, node.remembered) != nullptr;
  return usable ? node.remembered : node.holders.front().worker;
}

void RoutedPrefixTree::touch(Node& node, std::uint32_t worker) {
  const std::uint64_t use = uses_++;
  if (Holder* known = find(node, worker); known != nullptr) {
    known->used = use;
  } else {
    node.holders.push_back({worker, use});
  }
  if (use % kRememberEvery == 0) node.remembered = worker;
}

RoutedPrefixTree::Match RoutedPrefixTree::match(std::span<const std::uint64_t> blocks) {
  Match result;
  for (const std::uint64_t block : blocks) {
    const auto node = nodes_.find(block);
    if (node == nodes_.end()) break;
    result.worker = any_worker(node->second);
    touch(node->second, result.worker);
    ++result.blocks;
  }
  return result;
}

void RoutedPrefixTree::insert(std::span<const std::uint64_t> blocks, std::uint32_t worker) {
  if (worker >= sizes_.size()) sizes_.resize(std::size_t{worker} + 1);
  std::uint64_t parent = 0;
  for (const std::uint64_t block : blocks) {
    Node& node = nodes_[block];
    node.parent = parent;
    touch(node, worker);
    parent = block;
  }
  sizes_[worker] += blocks.size();
}

void RoutedPrefixTree::drop(std::uint64_t block, std::uint32_t worker) {
  const auto node = nodes_.find(block);
  std::erase_if(node->second.holders, [worker](const Holder& holder) { return holder.worker == worker; });
  // Who holds a block holds those before it, so a block without holders has no successors either.
  if (node->second.holders.empty()) nodes_.erase(node);
}

std::uint64_t RoutedPrefixTree::evict_from(std::uint32_t worker, std::uint64_t count) {
  struct Own {
    std::uint64_t parent = 0;
    std::uint64_t used = 0;
    std::uint32_t successors = 0;  // that the worker holds, too
  };
  std::unordered_map<std::uint64_t, Own> own;
  for (auto& [block, node] : nodes_) {
    if (const Holder* holder = find(node, worker); holder != nullptr)
      own.emplace(block, Own{.parent = node.parent, .used = holder->used});
  }
  for (const auto& [block, mine] : own) {
    if (mine.parent != 0) ++own.at(mine.parent).successors;
  }
  std::priority_queue<Leaf, std::vector<Leaf>, std::greater<>> leaves;
  for (const auto& [block, mine] : own) {
    if (mine.successors == 0) leaves.push({mine.used, block});
  }
  std::uint64_t evicted = 0;
  for (; evicted < count && !leaves.empty(); ++evicted) {
    const std::uint64_t block = leaves.top().block;
    leaves.pop();
    drop(block, worker);
    const std::uint64_t parent = own.at(block).parent;
    if (parent == 0) continue;
    if (Own& before = own.at(parent); --before.successors == 0) leaves.push({before.used, parent});
  }
  return evicted;
}

void RoutedPrefixTree::evict(std::uint64_t blocks_max) {
  for (std::uint32_t worker = 0; worker < sizes_.size(); ++worker) {
    if (sizes_[worker] <= blocks_max) continue;
    sizes_[worker] -= std::min(sizes_[worker], evict_from(worker, sizes_[worker] - blocks_max));
  }
}

std::uint64_t RoutedPrefixTree::size_of(std::uint32_t worker) const noexcept {
  return worker < sizes_.size() ? sizes_[worker] : 0;
}

}  // namespace llmd::simulation
