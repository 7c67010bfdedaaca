#include "model/endpoint.h"

#include <algorithm>

namespace llmd {

const ServedModel* Endpoint::find_model(std::string_view id) const noexcept {
  const auto found = std::ranges::find(models, id, &ServedModel::id);
  return found == models.end() ? nullptr : &*found;
}

const Reading<float>* EndpointSignals::find(std::string_view name) const noexcept {
  const auto found = std::ranges::lower_bound(named, name, {}, &NamedReading::name);
  return found == named.end() || found->name != name ? nullptr : &found->reading;
}

std::string_view signal_name(Signal signal) noexcept {
  switch (signal) {
    case Signal::kCpuUse: return "cpu_use";
    case Signal::kGpuUse: return "gpu_use";
    case Signal::kMemoryUse: return "memory_use";
    case Signal::kCacheHitRatio: return "cache_hit_ratio";
    case Signal::kQueuedTokens: return "queued_tokens";
    case Signal::kDecodeTokensLeft: return "decode_tokens_left";
    case Signal::kErrorRate: return "error_rate";
    case Signal::kLatencyMs: return "latency_ms";
    case Signal::kBandwidthMbps: return "bandwidth_mbps";
    case Signal::kPacketLoss: return "packet_loss";
    case Signal::kCostPerMillionTokens: return "cost_per_million_tokens";
    case Signal::kJoulesPerToken: return "joules_per_token";
    case Signal::kReadySeconds: return "ready_seconds";
  }
  return "signal";
}

std::string_view role_name(EndpointRole role) noexcept {
  switch (role) {
    case EndpointRole::kUnified: return "unified";
    case EndpointRole::kPrefill: return "prefill";
    case EndpointRole::kDecode: return "decode";
  }
  return "unified";
}

std::string_view health_name(EndpointHealth health) noexcept {
  switch (health) {
    case EndpointHealth::kUnknown: return "unknown";
    case EndpointHealth::kReady: return "ready";
    case EndpointHealth::kProbing: return "probing";
    case EndpointHealth::kDraining: return "draining";
    case EndpointHealth::kDown: return "down";
  }
  return "unknown";
}

}  // namespace llmd
