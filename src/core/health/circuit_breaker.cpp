#include "health/circuit_breaker.h"

#include <algorithm>

namespace llmd::health {

BreakerState CircuitBreaker::state(TimePoint now) const noexcept {
  if (!tripped_) return BreakerState::kClosed;
  return now < open_until_ ? BreakerState::kOpen : BreakerState::kHalfOpen;
}

void CircuitBreaker::on_success(TimePoint now) noexcept {
  count(now, false);
  consecutive_failures_ = 0;
  consecutive_connect_failures_ = 0;
  // A request that began before the pause may end well during it; that is no trial.
  if (state(now) == BreakerState::kHalfOpen && ++trials_passed_ >= options_.trials_needed) close();
}

void CircuitBreaker::on_failure(FailureKind kind, TimePoint now) noexcept {
  count(now, true);
  ++consecutive_failures_;
  consecutive_connect_failures_ = kind == FailureKind::kConnect ? consecutive_connect_failures_ + 1 : 0;
  switch (state(now)) {
    case BreakerState::kOpen: return;  // of a request that began before: the pause stands
    case BreakerState::kHalfOpen: open(kind, now); return;
    case BreakerState::kClosed: break;
  }
  if (consecutive_failures_ >= options_.consecutive_failures_max ||
      consecutive_connect_failures_ >= options_.connect_failures_max || rate_exceeded(now)) {
    open(kind, now);
  }
}

void CircuitBreaker::on_reachable(TimePoint now) noexcept {
  if (state(now) == BreakerState::kOpen && opened_by_ == FailureKind::kConnect) open_until_ = now;
}

void CircuitBreaker::open(FailureKind kind, TimePoint now) noexcept {
  pause_ = tripped_ ? std::min<Duration>(pause_ * 2, options_.pause_max) : Duration{options_.pause_min};
  tripped_ = true;
  opened_by_ = kind;
  open_until_ = now + pause_;
  trials_passed_ = 0;
  ++opened_total_;
}

void CircuitBreaker::close() noexcept {
  tripped_ = false;
  trials_passed_ = 0;
  buckets_ = {};  // what made it open says nothing about the endpoint as it is now
}

std::int64_t CircuitBreaker::bucket_index(TimePoint now) const noexcept {
  const Duration slice = std::max<Duration>(Duration{options_.rate_window} / static_cast<int>(kBuckets), Duration{1});
  return now.time_since_epoch() / slice;
}

void CircuitBreaker::count(TimePoint now, bool failed) noexcept {
  const std::int64_t index = bucket_index(now);
  Bucket& bucket = buckets_[static_cast<std::size_t>(index) % kBuckets];
  if (bucket.index != index) bucket = {.index = index};
  ++bucket.requests;
  if (failed) ++bucket.failures;
}

bool CircuitBreaker::rate_exceeded(TimePoint now) const noexcept {
  const std::int64_t oldest = bucket_index(now) - static_cast<std::int64_t>(kBuckets) + 1;
  std::uint64_t requests = 0;
  std::uint64_t failures = 0;
  for (const Bucket& bucket : buckets_) {
    if (bucket.index < oldest) continue;
    requests += bucket.requests;
    failures += bucket.failures;
  }
  return requests >= options_.rate_requests_min &&
         static_cast<double>(failures) >= options_.failure_rate_max * static_cast<double>(requests);
}

}  // namespace llmd::health
