#include "routing/role_keeper.h"

#include <vector>

#include "telemetry/log.h"

namespace llmd::routing {

RoleKeeper::RoleKeeper(pool::Pool& pool, MetricsRegistry& metrics)
    : pool_{pool},
      changes_{metrics.counter("llmd_gateway_role_changes_total", "Endpoints that were given another role")} {
  Gauge& prefill =
      metrics.gauge("llmd_gateway_role_pressure",
                    "Expected times of a role's legs against the objectives, mean of late", {{"role", "prefill"}});
  Gauge& decode =
      metrics.gauge("llmd_gateway_role_pressure",
                    "Expected times of a role's legs against the objectives, mean of late", {{"role", "decode"}});
  metrics.on_collect([this, &prefill, &decode] {
    const std::scoped_lock lock{mutex_};
    const auto pressure = balancer_.pressure(SteadyClock::now());
    prefill.set(pressure.prefill);
    decode.set(pressure.decode);
  });
}

void RoleKeeper::sent(const RequestFacts& request, const Decision& decision, TimePoint now) {
  const pd::LegTimes legs = pd::expected_legs(decision, request, {});
  const std::scoped_lock lock{mutex_};
  balancer_.on_sent(legs, now);
}

void RoleKeeper::look(TimePoint now) {
  const auto view = pool_.view(now);
  std::vector<pd::RoleView> views;
  views.reserve(view->snapshot.endpoints.size());
  for (std::size_t i = 0; i < view->snapshot.endpoints.size(); ++i) {
    views.push_back(
        pd::role_view(view->snapshot.endpoints[i], view->in_flight[i]->requests.load(std::memory_order_relaxed)));
  }
  std::optional<pd::RoleChange> change;
  {
    const std::scoped_lock lock{mutex_};
    change = balancer_.tick(views, now);
  }
  if (!change) return;
  pool_.set_role(change->endpoint, change->role ? role_name(*change->role) : pd::kNoRole);
  if (!change->role) {
    log::info("{} changes its role: it takes nothing new until its requests have ended", change->endpoint);
    return;
  }
  changes_.add();
  log::info("{} has the role {} now", change->endpoint, role_name(*change->role));
}

}  // namespace llmd::routing
