#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

namespace llmd::scheduling {

/// A place a request of a burst may go to.
struct BurstReplica {
  std::string_view name;
  std::uint32_t running = 0;  // requests; 0 if not known
};

struct BurstRules {
  static constexpr std::uint32_t kUnlimited = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t replica_max = kUnlimited;  // requests of one group on one replica; at least 1
  std::uint32_t shared_blocks_min = 0;  // leading blocks that prompts must share to go together; 0: only equal ones do
  bool by_blocks = false;               // balance blocks to compute rather than requests
};

inline constexpr std::size_t kNoReplica = std::numeric_limits<std::size_t>::max();

/// Places requests that arrived together so that those which share a prompt's beginning share a replica. `prompts` has
/// the prefix hashes of each request, in which a hash stands for its block and all before (PrefixKey). The result has
/// for each the place among `replicas`, or kNoReplica if it shares too little with any other.
///
/// Requests with equal prompts are a group; a single request is placed, too, if it shares `shared_blocks_min` leading
/// blocks with another. Groups come first, longer prompts before shorter. Each goes to the replica that already got the
/// most of its leading blocks, at least shared_blocks_min, as long as that one has less than its fair share of the
/// burst; else to the one with the least of the burst, then the fewest running requests, then by name. What
/// `replica_max` keeps from the first replica goes to the least loaded ones. O(groups * (blocks + replicas) + requests
/// * replicas).
[[nodiscard]] std::vector<std::size_t> assign_burst(std::span<const std::span<const std::uint64_t>> prompts,
                                                    std::span<const BurstReplica> replicas, const BurstRules& rules);

}  // namespace llmd::scheduling
