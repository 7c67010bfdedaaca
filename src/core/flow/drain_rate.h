#pragma once

#include <cstdint>

#include "base/clock.h"

namespace llmd::flow {

/// How many requests a second leave a queue, of late: an exponentially weighted mean with the given half-life, exact
/// from the first on. 24 bytes; not thread-safe.
class DrainRate {
 public:
  static constexpr Duration kHalfLife = seconds{10};

  void note(TimePoint now, std::uint64_t requests = 1) noexcept;
  /// 0 if none has left yet.
  [[nodiscard]] double per_second(TimePoint now) const noexcept;

 private:
  double weight_ = 0;  // of requests that left, halved each half-life
  TimePoint last_{};   // when it was brought up to date
  TimePoint first_{};
};

/// Seconds after which a client should try again, if so many requests go before it and leave at the rate: 1 to 60;
/// 60 if nothing leaves.
[[nodiscard]] std::uint32_t retry_after_s(std::uint64_t ahead, double per_second) noexcept;

}  // namespace llmd::flow
