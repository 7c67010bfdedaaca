#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "base/clock.h"

namespace llmd::flow {

/// What an ordering policy may look at.
struct OrderFacts {
  TimePoint received{};  // from the client
  TimePoint enqueued{};
  Duration ttl{};  // 0: it may wait for ever
  std::optional<Duration> ttft_objective{};
  std::uint32_t uncached_tokens = 0;
};

/// After everything that has a time.
inline constexpr std::int64_t kOrderedLast = std::numeric_limits<std::int64_t>::max();

/// Which request of a flow goes first. The key is fixed when the request comes, so that a queue is a heap and nothing
/// has to be sorted anew as time passes. Immutable.
class OrderingPolicy {
 public:
  OrderingPolicy() = default;
  OrderingPolicy(const OrderingPolicy&) = delete;
  OrderingPolicy& operator=(const OrderingPolicy&) = delete;
  virtual ~OrderingPolicy() = default;

  /// Smaller goes first; among equals the one that came first.
  [[nodiscard]] virtual std::int64_t key(const OrderFacts& facts) const noexcept = 0;

  /// A time as a key.
  [[nodiscard]] static std::int64_t key_of(TimePoint at) noexcept { return at.time_since_epoch().count(); }
};

}  // namespace llmd::flow
