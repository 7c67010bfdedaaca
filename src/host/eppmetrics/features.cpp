#include "eppmetrics/features.h"

#include <span>
#include <string_view>

#include "eppmetrics/flow_families.h"
#include "eppmetrics/plugin_families.h"
#include "eppmetrics/pool_families.h"
#include "eppmetrics/request_families.h"
#include "eppmetrics/scheduler_families.h"

namespace llmd::eppmetrics {
namespace {

void declare_all(MetricsRegistry& registry, std::span<const Family* const> families, bool wanted = true) {
  if (!wanted) return;
  for (const Family* family : families) declare(registry, *family);
}

}  // namespace

void add_plugin_features(const scheduling::SchedulingConfig& config, Features& features) {
  const auto note = [&](const scheduling::PluginInstance& plugin) {
    const auto is = [&](std::string_view type) { return plugin.type == type; };
    const PluginName name{plugin.name.empty() ? plugin.type : plugin.name, plugin.type};
    if (is("disagg-profile-handler") || is("pd-profile-handler")) features.disagg = name;
    if (is("approx-prefix-cache-producer") || is("multicluster-approx-prefix-cache-producer")) features.prefix = name;
    if (is("predicted-latency-producer")) features.predictor = name;
    if (is("mm-embeddings-cache-producer")) features.encoder = name;
    if (is("inflight-load-producer")) features.inflight = name;
    if (is("disaggregatedset-rollout-screener")) features.rollout = name;
    if (is("program-aware-fairness")) features.program_aware = true;
  };
  for (const auto& plugin : config.plugins) note(plugin);
  for (const auto& plugin : config.others) note(plugin);
}

void declare_families(MetricsRegistry& registry, const Features& features) {
  declare_all(registry, kRequestFamilies);
  declare_all(registry, kPoolFamilies);
  declare_all(registry, kSchedulerFamilies);
  declare_all(registry, kStreamFamilies, features.stream_metrics);
  declare_all(registry, kFlowFamilies, features.flow_control);
  declare_all(registry, kProgramFamilies, features.flow_control && features.program_aware);
  declare_all(registry, kDisaggFamilies, features.disagg.has_value());
  declare_all(registry, kPrefixFamilies, features.prefix.has_value());
  declare_all(registry, kPredictionFamilies, features.predictor.has_value());
  declare_all(registry, kEncoderFamilies, features.encoder.has_value());
  declare_all(registry, kInflightFamilies, features.inflight.has_value());
  declare_all(registry, kKvFamilies, features.kv_index);
  declare_all(registry, kRolloutFamilies, features.rollout.has_value());
}

}  // namespace llmd::eppmetrics
