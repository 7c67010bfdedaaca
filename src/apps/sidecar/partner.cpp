#include "apps/sidecar/partner.h"

#include <fmt/format.h>

#include "telemetry/log.h"

namespace llmd::sidecar {

Task<void> Partner::run(std::shared_ptr<Partner> self) {
  const TimePoint began = SteadyClock::now();
  Result<LegAnswer> end = co_await self->leg.run();
  self->end.emplace(std::move(end));
  SidecarMetrics& metrics = self->context.shared.metrics;
  if (!self->failed()) {
    metrics.prefill_seconds.observe(to_seconds(SteadyClock::now() - began));
  } else if (!self->given_up) {
    metrics.prefill_failures.add();
    if (!self->pod.empty()) self->context.mooncake.forget(self->pod);
    const Result<LegAnswer>& how = *self->end;
    const std::string why = how ? fmt::format("it answered {}", how->status) : how.error().to_string();
    log::warn("{} could not prefill: {}", self->leg.request().address.to_string(), why);
    if (self->on_failure) self->on_failure();
  }
  self->done.set();
}

}  // namespace llmd::sidecar
