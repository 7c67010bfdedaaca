#include "apps/sidecar/sidecar_metrics.h"

#include <array>

namespace llmd::sidecar {
namespace {

constexpr std::array<double, 14> kSeconds{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120};

Counter& requests(MetricsRegistry& registry, const char* way) {
  return registry.counter("llmd_sidecar_requests_total", "Requests by the way they took", {{"way", way}});
}

Counter& engine_failures(MetricsRegistry& registry, const char* kind) {
  return registry.counter("llmd_sidecar_engine_failures_total",
                          "Requests that the engine beside it did not answer whole", {{"kind", kind}});
}

}  // namespace

SidecarMetrics::SidecarMetrics(MetricsRegistry& registry)
    : split{requests(registry, "split")},
      local{requests(registry, "local")},
      proxied{requests(registry, "proxied")},
      prefill_failures{registry.counter("llmd_sidecar_prefill_failures_total", "Prefill legs that failed")},
      prefill_retries{registry.counter("llmd_sidecar_prefill_retries_total", "Prefill legs that were sent again")},
      local_prefills{registry.counter("llmd_sidecar_local_prefills_total",
                                      "Prompts that the decode engine computed because the prefill leg failed")},
      prefill_seconds{
          registry.histogram("llmd_sidecar_prefill_seconds", "Duration of prefill legs that succeeded", kSeconds)},
      encodes{registry.counter("llmd_sidecar_encodes_total", "Requests sent to encode endpoints")},
      encode_failures{registry.counter("llmd_sidecar_encode_failures_total", "Of these, those that failed")},
      denied{registry.counter("llmd_sidecar_denied_total", "Targets in headers that are not allowed, or no addresses")},
      cancelled{registry.counter("llmd_sidecar_cancelled_total", "Requests whose client left before their end")},
      engine_refused{engine_failures(registry, "connect")},
      engine_cut{engine_failures(registry, "cut")},
      engine_timeouts{engine_failures(registry, "timeout")},
      in_flight{registry.gauge("llmd_sidecar_requests_in_flight", "Requests under way")},
      names_resolved{registry.counter("moriio_dns_reresolve_total", "Look-ups of MoRI-IO hosts that succeeded")},
      names_changed{registry.counter("moriio_dns_ip_changed_total", "MoRI-IO hosts found at another address")},
      names_failed{registry.counter("moriio_dns_lookup_failures_total", "Look-ups of MoRI-IO hosts that failed")} {}

}  // namespace llmd::sidecar
