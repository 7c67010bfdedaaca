#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "kvevents/payload.h"

namespace llmd::kvevents {

/// The newest batches, for consumers that missed some. Bounded in number and bytes: the oldest go, but never the
/// newest. Their numbers rise, with gaps where batches were dropped. Not thread-safe.
class ReplayBuffer {
 public:
  struct Options {
    std::size_t batches_max = 10'000;
    std::size_t bytes_max = std::size_t{128} << 20;
  };
  explicit ReplayBuffer(Options options) noexcept : options_{options} {}

  void add(PayloadHandle payload);
  /// The first batch from `seq` on; null if there is none. Valid until add(). O(log batches).
  [[nodiscard]] Payload* from(std::uint64_t seq) const noexcept;
  /// One beyond the newest number.
  [[nodiscard]] std::uint64_t end() const noexcept { return batches_.empty() ? 0 : batches_.back()->seq() + 1; }
  [[nodiscard]] std::size_t size() const noexcept { return batches_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  const Options options_;
  std::deque<PayloadHandle> batches_;
  std::size_t bytes_ = 0;
};

}  // namespace llmd::kvevents
