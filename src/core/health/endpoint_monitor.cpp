#include "health/endpoint_monitor.h"

namespace llmd::health {

void EndpointMonitor::on_request_success(TimePoint now) noexcept {
  reached_ = true;
  refusals_ = 0;
  breaker_.on_success(now);
}

void EndpointMonitor::on_request_failure(FailureKind kind, TimePoint now) noexcept {
  breaker_.on_failure(kind, now);
  // With a contact that was refused, too, no request is spent on finding out whether it is back: contacts tell.
  if (kind == FailureKind::kConnect) on_contact(ContactResult::kRefused, now);
}

void EndpointMonitor::on_contact(ContactResult result, TimePoint now) noexcept {
  switch (result) {
    case ContactResult::kAnswered:
      reached_ = true;
      refusals_ = 0;
      breaker_.on_reachable(now);
      return;
    case ContactResult::kRefused:
      if (refusals_ < options_.refusals_max) ++refusals_;
      if (refusals_ == options_.refusals_max) reached_ = false;
      return;
    case ContactResult::kTimeout: return;
  }
}

EndpointMonitor::Verdict EndpointMonitor::verdict(TimePoint now) const noexcept {
  if (breaker_.state(now) == BreakerState::kOpen) return {EndpointHealth::kDown, "its circuit breaker is open"};
  if (refusals_ >= options_.refusals_max) return {EndpointHealth::kDown, "it refuses connections"};
  if (draining_) return {EndpointHealth::kDraining, "it is draining"};
  if (breaker_.state(now) == BreakerState::kHalfOpen)
    return {EndpointHealth::kProbing, "its circuit breaker is half-open"};
  if (!reached_) return {EndpointHealth::kUnknown, "it was not reached yet"};
  return {EndpointHealth::kReady, "it answers"};
}

}  // namespace llmd::health
