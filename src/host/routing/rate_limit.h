#pragma once

#include <atomic>

#include "base/clock.h"

namespace llmd::routing {

/// So many a second: evenly while more are asked for, and up to a second's worth at once after a pause. Thread-safe,
/// lock-free, one atomic operation (the generic cell rate algorithm of ITU-T I.371).
class RateLimit {
 public:
  /// `per_second` 0 or less: none.
  explicit RateLimit(double per_second) noexcept;
  [[nodiscard]] bool take(TimePoint now) noexcept;

 private:
  const Duration interval_;                    // between two when they come evenly; zero: none at all
  const Duration burst_;                       // how far ahead of that they may be
  std::atomic<Duration::rep> spent_until_{0};  // when all that was taken has come in evenly
};

}  // namespace llmd::routing
