#pragma once

#include <optional>

#include "eppmetrics/plugin_name.h"
#include "scheduling/config.h"
#include "telemetry/metrics.h"

namespace llmd::eppmetrics {

/// What of llm-d's page there is to show. A family stands on the page from the start if what it tells of is configured.
struct Features {
  bool flow_control = false;
  bool program_aware = false;             // a band with program-aware-fairness
  bool stream_metrics = false;            // --enable-grpc-stream-metrics
  bool kv_index = false;                  // kvBlockIndexConfig.enableMetrics
  std::optional<PluginName> disagg{};     // disagg-profile-handler or pd-profile-handler
  std::optional<PluginName> prefix{};     // approx-prefix-cache-producer
  std::optional<PluginName> predictor{};  // predicted-latency-producer
  std::optional<PluginName> encoder{};    // mm-embeddings-cache-producer
  std::optional<PluginName> inflight{};   // inflight-load-producer
  std::optional<PluginName> rollout{};    // disaggregatedset-rollout-screener
};

/// Those that plugins stand for; the others are as the host sets them. `config` has its defaults applied
/// (Scheduler::config()).
void add_plugin_features(const scheduling::SchedulingConfig& config, Features& features);

/// Puts HELP and TYPE of every family of the features on the page, and of its old name.
void declare_families(MetricsRegistry& registry, const Features& features);

}  // namespace llmd::eppmetrics
