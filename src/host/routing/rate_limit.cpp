#include "routing/rate_limit.h"

#include <algorithm>
#include <chrono>

namespace llmd::routing {
namespace {

Duration interval_of(double per_second) noexcept {
  constexpr double kRateMin = 1e-6;  // less often than that is never
  if (!(per_second >= kRateMin)) return Duration::zero();
  return std::max(Duration{1}, std::chrono::duration_cast<Duration>(std::chrono::duration<double>{1 / per_second}));
}

}  // namespace

RateLimit::RateLimit(double per_second) noexcept
    : interval_{interval_of(per_second)}, burst_{std::max<Duration>(seconds{1}, interval_)} {}

bool RateLimit::take(TimePoint now) noexcept {
  if (interval_ == Duration::zero()) return false;
  const Duration::rep at = now.time_since_epoch().count();
  Duration::rep spent = spent_until_.load(std::memory_order_relaxed);
  Duration::rep next = 0;
  do {
    const Duration::rep from = std::max(spent, at);
    if (from - at > (burst_ - interval_).count()) return false;
    next = from + interval_.count();
  } while (!spent_until_.compare_exchange_weak(spent, next, std::memory_order_relaxed));
  return true;
}

}  // namespace llmd::routing
