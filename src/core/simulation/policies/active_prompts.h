#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "simulation/policies/block_holders.h"

namespace llmd::simulation {

/// The prompt blocks of the requests that are under way at each endpoint; a block that several share counts once. As
/// Dynamo's ActiveSequences with its defaults: whole prompt blocks from sending to the end, no output blocks
/// (ai-dynamo/dynamo, lib/kv-router/src/sequences/single.rs, commit 04df1c42).
class ActivePrompts {
 public:
  void add(std::uint32_t endpoint, std::uint64_t request, std::span<const std::uint64_t> blocks);
  /// The request has ended. Unknown ones: nothing.
  void remove(std::uint32_t endpoint, std::uint64_t request);
  void remove_endpoint(std::uint32_t endpoint);

  /// Different blocks under way there.
  [[nodiscard]] std::size_t blocks(std::uint32_t endpoint) const noexcept;
  /// For each place how many of the first blocks are under way there.
  void depths(std::span<const std::uint64_t> blocks, std::span<std::uint32_t> by_place) const {
    holders_.depths(blocks, by_place);
  }

 private:
  struct Place {
    std::unordered_map<std::uint64_t, std::vector<std::uint64_t>> requests{};  // their blocks
    std::unordered_map<std::uint64_t, std::uint32_t> uses{};                   // of a block, by requests
  };

  std::vector<Place> places_;
  BlockHolders holders_;
};

}  // namespace llmd::simulation
