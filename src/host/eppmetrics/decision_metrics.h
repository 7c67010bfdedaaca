#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "eppmetrics/plugin_name.h"
#include "eppmetrics/series_map.h"
#include "model/decision.h"
#include "model/request_facts.h"
#include "telemetry/metrics.h"

namespace llmd::eppmetrics {

/// The plugins whose part of a decision is counted.
struct DecisionPlugins {
  std::optional<PluginName> disagg{};  // disagg-profile-handler or pd-profile-handler
  std::optional<PluginName> prefix{};  // what produces prefix matches
};

/// What decisions say. Thread-safe.
class DecisionMetrics {
 public:
  /// `registry` must outlive it.
  DecisionMetrics(MetricsRegistry& registry, const DecisionPlugins& plugins);
  /// `target_model` is bounded. A decision that is dispatched also counts for the plugins.
  void decided(const Decision& decision, const RequestFacts& facts, std::string_view target_model, Duration took);
  /// (block, endpoint) pairs of the index.
  void set_prefix_entries(std::size_t entries);

 private:
  static constexpr std::size_t kAttemptsMax = 10'000;
  static constexpr std::size_t kModelsMax = 1'001;  // BoundedLabel's, and "other"
  /// `endpoint` is null if there was none.
  [[nodiscard]] Counter& attempts(std::string_view target_model, const Endpoint* endpoint);
  void count_stages(const Decision& decision, std::string_view target_model);
  void count_prefix(const Decision& decision, const RequestFacts& facts);

  MetricsRegistry& registry_;
  const std::optional<PluginName> disagg_;
  Histogram& duration_;
  SeriesMap<3, Counter*> successes_{kAttemptsMax};  // by target model, endpoint and URL
  SeriesMap<1, Counter*> failures_{kModelsMax};     // by target model
  using Stages = std::array<Counter*, 4>;
  SeriesMap<1, std::shared_ptr<Stages>> stages_{kModelsMax};  // by target model
  Gauge* prefix_entries_ = nullptr;
  Histogram* prefix_ratio_ = nullptr;
  Histogram* prefix_bytes_ = nullptr;
};

}  // namespace llmd::eppmetrics
