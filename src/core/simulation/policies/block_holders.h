#pragma once

#include <cstdint>
#include <span>

#include "simulation/policies/block_table.h"

namespace llmd::simulation {

/// Which endpoints hold which block: exactly what was told, however often. Endpoints are places below 65,536; others
/// are not kept. 16 bytes a block, more for those that many hold.
class BlockHolders {
 public:
  /// False if it was known.
  bool add(std::uint64_t block, std::uint32_t endpoint);
  /// False if it was not known.
  bool remove(std::uint64_t block, std::uint32_t endpoint);
  /// O(all blocks).
  void remove_endpoint(std::uint32_t endpoint);

  /// For each place how many of the first blocks it holds without a gap: what an engine can reuse.
  void depths(std::span<const std::uint64_t> blocks, std::span<std::uint32_t> by_place) const;

 private:
  BlockTable table_{0};  // block names are hashes of the twin's own: nobody aims at the table
};

}  // namespace llmd::simulation
