#include "scheduling/producers/burst_assignment.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace llmd::scheduling {
namespace {

using Prompt = std::span<const std::uint64_t>;

struct Group {
  Prompt prompt;
  std::vector<std::size_t> members;  // places of requests
};

/// By first arrival. The last hash of a prompt stands for the whole of it.
std::vector<Group> groups_of(std::span<const Prompt> prompts) {
  std::vector<Group> groups;
  std::unordered_map<std::uint64_t, std::size_t> places;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    if (prompts[i].empty()) continue;
    const auto [place, is_new] = places.emplace(prompts[i].back(), groups.size());
    if (is_new) groups.push_back({.prompt = prompts[i], .members = {}});
    groups[place->second].members.push_back(i);
  }
  return groups;
}

/// Drops single requests that share too little, and puts the rest in the order in which they are placed.
std::vector<Group> placeable(std::vector<Group> groups, std::uint32_t shared_blocks_min) {
  std::unordered_map<std::uint64_t, std::size_t> sharers;  // by the hash of the last block that must be shared
  const auto beginning = [&](const Group& group) { return group.prompt[shared_blocks_min - 1]; };
  const auto long_enough = [&](const Group& group) {
    return shared_blocks_min > 0 && group.prompt.size() >= shared_blocks_min;
  };
  for (const Group& group : groups) {
    if (long_enough(group)) sharers[beginning(group)] += group.members.size();
  }
  std::erase_if(groups, [&](const Group& group) {
    return group.members.size() < 2 && !(long_enough(group) && sharers[beginning(group)] >= 2);
  });
  std::ranges::sort(groups, {}, [](const Group& group) {
    const bool single = group.members.size() < 2;
    return std::tuple{single, -static_cast<std::ptrdiff_t>(group.prompt.size()), group.members.front()};
  });
  return groups;
}

class Placement {
 public:
  Placement(std::span<const Group> groups, std::span<const BurstReplica> replicas, const BurstRules& rules)
      : replicas_{replicas},
        rules_{rules},
        loads_(replicas.size()),
        matches_(replicas.size()),
        placed_(replicas.size()) {
    std::uint64_t total = 0;
    for (const Group& group : groups) total += rules.by_blocks ? group.prompt.size() : group.members.size();
    fair_share_ = (total + replicas.size() - 1) / replicas.size();
  }

  void place(const Group& group, std::span<std::size_t> assigned) {
    count_matches(group.prompt);
    std::ranges::fill(placed_, 0U);
    std::size_t next = 0;
    while (next < group.members.size()) {
      std::size_t target = next == 0 ? best_match() : kNoReplica;
      if (target == kNoReplica) target = least_loaded();
      const std::size_t run = std::min(group.members.size() - next, room(target));
      for (const std::size_t member : std::span{group.members}.subspan(next, run)) assigned[member] = target;
      if (!rules_.by_blocks) {
        loads_[target] += run;
      } else if (placed_[target] == 0) {
        // What the replica got before need not be computed again.
        loads_[target] += group.prompt.size() - std::min<std::uint64_t>(group.prompt.size(), matches_[target]);
      }
      placed_[target] += run;
      next += run;
    }
    for (std::size_t replica = 0; replica < replicas_.size(); ++replica) {
      if (placed_[replica] > 0) hold(group.prompt, replica);
    }
  }

 private:
  /// Leading blocks of the prompt that each replica holds. Prompts are held whole, so there are no gaps.
  void count_matches(Prompt prompt) {
    std::ranges::fill(matches_, 0U);
    for (const std::uint64_t hash : prompt) {
      const auto holders = holders_.find(hash);
      if (holders == holders_.end()) return;
      for (const std::size_t replica : holders->second) ++matches_[replica];
    }
  }

  void hold(Prompt prompt, std::size_t replica) {
    for (const std::uint64_t hash : prompt) {
      std::vector<std::size_t>& holders = holders_[hash];
      if (std::ranges::find(holders, replica) == holders.end()) holders.push_back(replica);
    }
  }

  [[nodiscard]] bool full(std::size_t replica) const { return placed_[replica] >= rules_.replica_max; }

  /// At least 1, so that more members than all replicas may hold are spread one by one.
  [[nodiscard]] std::size_t room(std::size_t replica) const {
    return full(replica) ? 1 : rules_.replica_max - placed_[replica];
  }

  [[nodiscard]] bool less_loaded(std::size_t a, std::size_t b) const {
    return std::tuple{loads_[a], replicas_[a].running, replicas_[a].name} <
           std::tuple{loads_[b], replicas_[b].running, replicas_[b].name};
  }

  [[nodiscard]] std::size_t best_match() const {
    std::size_t best = kNoReplica;
    if (rules_.shared_blocks_min == 0) return best;
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
      // Beyond its fair share a replica would draw all that share a prefix.
      if (loads_[i] >= fair_share_ || matches_[i] < rules_.shared_blocks_min) continue;
      if (best == kNoReplica || matches_[i] > matches_[best] || (matches_[i] == matches_[best] && less_loaded(i, best)))
        best = i;
    }
    return best;
  }

  [[nodiscard]] std::size_t least_loaded() const {
    std::size_t best = kNoReplica;
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
      if (best == kNoReplica || (full(best) && !full(i)) || (full(best) == full(i) && less_loaded(i, best))) best = i;
    }
    return best;
  }

  std::span<const BurstReplica> replicas_;
  const BurstRules& rules_;
  std::uint64_t fair_share_ = 0;
  std::vector<std::uint64_t> loads_;    // requests, or blocks to compute
  std::vector<std::uint32_t> matches_;  // of the group that is placed
  std::vector<std::size_t> placed_;     // members of it
  std::unordered_map<std::uint64_t, std::vector<std::size_t>> holders_;
};

}  // namespace

std::vector<std::size_t> assign_burst(std::span<const std::span<const std::uint64_t>> prompts,
                                      std::span<const BurstReplica> replicas, const BurstRules& rules) {
  std::vector<std::size_t> assigned(prompts.size(), kNoReplica);
  if (replicas.empty()) return assigned;
  const std::vector<Group> groups = placeable(groups_of(prompts), rules.shared_blocks_min);
  Placement placement{groups, replicas, rules};
  for (const Group& group : groups) placement.place(group, assigned);
  return assigned;
}

}  // namespace llmd::scheduling
