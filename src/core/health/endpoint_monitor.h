#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/clock.h"
#include "health/circuit_breaker.h"
#include "model/endpoint.h"

namespace llmd::health {

/// How a scrape of an endpoint's metrics, or a look at its readiness, ended.
enum class ContactResult : std::uint8_t {
  kAnswered,  // any HTTP answer: it is there
  kRefused,   // nobody listens
  kTimeout,   // no answer in time: it may be busy, so this alone takes nothing away
};

struct MonitorOptions {
  BreakerOptions breaker{};
  std::uint32_t refusals_max = 2;  // contacts and requests refused in a row that make an endpoint down until a contact
};

/// What is known of one endpoint's health, from its requests, its scrapes and what discovery says. A state machine fed
/// with events. Missing data never takes an endpoint away: one that was never reached is kUnknown and may serve. Not
/// thread-safe; O(1).
class EndpointMonitor {
 public:
  explicit EndpointMonitor(MonitorOptions options) noexcept : options_{options}, breaker_{options.breaker} {}

  void on_request_success(TimePoint now) noexcept;
  void on_request_failure(FailureKind kind, TimePoint now) noexcept;
  void on_contact(ContactResult result, TimePoint now) noexcept;
  /// The endpoint, or whoever runs it, says that it takes nothing new (or does again).
  void set_draining(bool draining) noexcept { draining_ = draining; }

  struct Verdict {
    EndpointHealth health = EndpointHealth::kUnknown;
    std::string_view reason;  // static text, for explanations and logs
  };
  [[nodiscard]] Verdict verdict(TimePoint now) const noexcept;
  [[nodiscard]] const CircuitBreaker& breaker() const noexcept { return breaker_; }

 private:
  MonitorOptions options_;
  CircuitBreaker breaker_;
  bool draining_ = false;
  bool reached_ = false;  // by a request or a contact, since it was last down
  std::uint32_t refusals_ = 0;
};

}  // namespace llmd::health
