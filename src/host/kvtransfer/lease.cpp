#include "kvtransfer/lease.h"

#include <fmt/format.h>

#include <algorithm>

namespace llmd::kvtransfer {

Result<LeaseId> LeaseTable::grant(std::vector<LeasedBlock> blocks, TimePoint deadline) {
  std::size_t bytes = 0;
  for (const LeasedBlock& block : blocks) bytes += block.handle.bytes().size();
  if (leases_.size() >= options_.leases_max || bytes > options_.bytes_max - bytes_) {
    ++counters_.refused;
    return fail(ErrorCode::kOverloaded,
                fmt::format("{} leases pin {} bytes, and {} more are wanted; the limits are {} and {}", leases_.size(),
                            bytes_, bytes, options_.leases_max, options_.bytes_max),
                "decode workers fetch too slowly or not at all; shorten the lease time");
  }
  LeaseId id{ids_.next()};
  while (id.value == 0 || leases_.contains(id)) id.value = ids_.next();
  leases_.emplace(id, Lease{.blocks = std::move(blocks), .deadline = deadline, .bytes = bytes});
  deadlines_.emplace(deadline, id);
  bytes_ += bytes;
  ++counters_.granted;
  return id;
}

Result<std::vector<kvstore::BlockHandle>> LeaseTable::blocks_of(LeaseId lease, std::span<const BlockId> wanted,
                                                                TimePoint now) const {
  const auto found = leases_.find(lease);
  const bool expired =
      found == leases_.end() ? std::ranges::find(expired_, lease) != expired_.end() : found->second.deadline <= now;
  if (expired) {
    return fail(ErrorCode::kLeaseExpired, fmt::format("lease {:x} has expired", lease.value),
                "raise the prefill worker's lease time");
  }
  if (found == leases_.end()) return fail(ErrorCode::kNotFound, fmt::format("lease {:x} is not known", lease.value));
  std::vector<kvstore::BlockHandle> handles;
  auto next = found->second.blocks.begin();
  for (const BlockId& id : wanted) {
    next = std::find_if(next, found->second.blocks.end(), [&](const LeasedBlock& block) { return block.id == id; });
    if (next == found->second.blocks.end()) break;
    handles.push_back(next->handle);
    ++next;
  }
  return handles;
}

bool LeaseTable::release(LeaseId lease) {
  const auto found = leases_.find(lease);
  if (found == leases_.end()) return false;
  drop(found);
  ++counters_.released;
  return true;
}

std::size_t LeaseTable::tick(TimePoint now) {
  std::size_t count = 0;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const LeaseId id = deadlines_.begin()->second;
    drop(leases_.find(id));
    expired_.push_back(id);
    if (expired_.size() > kExpiredRemembered) expired_.pop_front();
    ++count;
  }
  counters_.expired += count;
  return count;
}

void LeaseTable::drop(std::unordered_map<LeaseId, Lease>::iterator lease) {
  deadlines_.erase({lease->second.deadline, lease->first});
  bytes_ -= lease->second.bytes;
  leases_.erase(lease);
}

std::optional<TimePoint> LeaseTable::next_deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

LeaseTable::Stats LeaseTable::stats() const {
  Stats stats = counters_;
  stats.leases = leases_.size();
  stats.bytes = bytes_;
  for (const auto& [id, lease] : leases_) stats.blocks += lease.blocks.size();
  return stats;
}

bool LeaseTable::check_integrity() const {
  std::size_t bytes = 0;
  for (const auto& [id, lease] : leases_) {
    if (!deadlines_.contains({lease.deadline, id})) return false;
    for (const LeasedBlock& block : lease.blocks) bytes += block.handle.bytes().size();
  }
  return bytes == bytes_ && bytes_ <= options_.bytes_max && deadlines_.size() == leases_.size() &&
         leases_.size() <= options_.leases_max && expired_.size() <= kExpiredRemembered;
}

}  // namespace llmd::kvtransfer
