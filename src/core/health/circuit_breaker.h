#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace llmd::health {

/// What an endpoint did wrong. A refusal for want of room (429, 503 with Retry-After) or a client's own error is none.
enum class FailureKind : std::uint8_t {
  kConnect,      // nobody listens, or no connection in time
  kTimeout,      // connected, no answer in time
  kServerError,  // 5xx
  kCutStream,    // the answer began and broke off
};

enum class BreakerState : std::uint8_t {
  kClosed,    // requests may go
  kOpen,      // none may go until the pause is over
  kHalfOpen,  // one at a time may go, on trial
};

struct BreakerOptions {
  std::uint32_t consecutive_failures_max = 3;  // opens at so many in a row; lower: quicker, more often wrong
  std::uint32_t connect_failures_max = 1;      // the same for kConnect, which rarely errs
  double failure_rate_max = 0.5;               // opens at this share of failures within `rate_window` ...
  std::uint32_t rate_requests_min = 20;        // ... once so many requests have ended in it
  std::chrono::milliseconds rate_window{10'000};
  std::chrono::milliseconds pause_min{1'000};   // the first pause; each failed trial doubles it ...
  std::chrono::milliseconds pause_max{30'000};  // ... up to here
  std::uint32_t trials_needed = 1;              // successes on trial that close it
};

/// Keeps requests away from an endpoint that fails, and lets it back on trial. A state machine fed with events; time
/// comes in with each call and never runs backwards. About 200 bytes; not thread-safe; O(1).
class CircuitBreaker {
 public:
  explicit CircuitBreaker(BreakerOptions options) noexcept : options_{options} {}

  /// A request ended well.
  void on_success(TimePoint now) noexcept;
  /// A request failed by the endpoint's fault.
  void on_failure(FailureKind kind, TimePoint now) noexcept;
  /// The endpoint was seen to accept connections again (a scrape or health check answered): ends a pause that began
  /// with kConnect.
  void on_reachable(TimePoint now) noexcept;

  [[nodiscard]] BreakerState state(TimePoint now) const noexcept;
  /// When the pause ends; meaningful while open.
  [[nodiscard]] TimePoint open_until() const noexcept { return open_until_; }
  /// How often it opened since the start.
  [[nodiscard]] std::uint64_t opened_total() const noexcept { return opened_total_; }

 private:
  struct Bucket {
    std::int64_t index = -1;  // which slice of time it counts
    std::uint32_t requests = 0;
    std::uint32_t failures = 0;
  };
  static constexpr std::size_t kBuckets = 10;

  void count(TimePoint now, bool failed) noexcept;
  [[nodiscard]] bool rate_exceeded(TimePoint now) const noexcept;
  [[nodiscard]] std::int64_t bucket_index(TimePoint now) const noexcept;
  void open(FailureKind kind, TimePoint now) noexcept;
  void close() noexcept;

  BreakerOptions options_;
  bool tripped_ = false;  // open, or half-open once the pause is over
  FailureKind opened_by_ = FailureKind::kConnect;
  TimePoint open_until_{};
  Duration pause_{};
  std::uint32_t consecutive_failures_ = 0;
  std::uint32_t consecutive_connect_failures_ = 0;
  std::uint32_t trials_passed_ = 0;
  std::uint64_t opened_total_ = 0;
  std::array<Bucket, kBuckets> buckets_{};
};

}  // namespace llmd::health
