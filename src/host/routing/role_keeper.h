#pragma once

#include <mutex>

#include "base/clock.h"
#include "model/decision.h"
#include "model/request_facts.h"
#include "pd/role_balancer.h"
#include "pool/pool.h"
#include "telemetry/metrics.h"

namespace llmd::routing {

/// Carries out what pd::RoleBalancer says: endpoints that may change get another role in the pool. Thread-safe.
class RoleKeeper {
 public:
  /// Both must outlive it.
  RoleKeeper(pool::Pool& pool, MetricsRegistry& metrics);

  /// A request is about to be sent.
  void sent(const RequestFacts& request, const Decision& decision, TimePoint now);
  /// Call about once a second.
  void look(TimePoint now);

 private:
  pool::Pool& pool_;
  Counter& changes_;
  std::mutex mutex_;  // guards the balancer
  pd::RoleBalancer balancer_{{}};
};

}  // namespace llmd::routing
