#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "eppmetrics/bounded_label.h"
#include "eppmetrics/decision_metrics.h"
#include "eppmetrics/features.h"
#include "eppmetrics/inflight_metrics.h"
#include "eppmetrics/plugin_times.h"
#include "eppmetrics/pool_metrics.h"
#include "eppmetrics/request_metrics.h"
#include "eppmetrics/series_map.h"
#include "model/decision.h"
#include "model/endpoint.h"
#include "model/request_facts.h"
#include "scheduling/plugin_timing.h"
#include "telemetry/metrics.h"

namespace llmd::eppmetrics {

struct EppMetricsOptions {
  std::string pool_name = "epp";  // llm-d's name of a pool that is none of Kubernetes'
  Features features{};
  std::string commit{};
  std::string build_ref{};
  Duration metrics_age_max = seconds{2};  // --metrics-staleness-threshold
};

/// A decision, and what it rests on.
struct DecisionReport {
  const Decision& decision;
  const RequestFacts& facts;
  Duration took{};
  std::optional<Duration> prediction_took{};  // of it, for predictions of latencies
  std::uint64_t load_tokens = 0;              // in flight until the first token
  std::uint64_t output_load_tokens = 0;       // in flight until the end
};

/// llm-d's metrics, under its names and labels: values in, series out. It reads no clock. Families of what is
/// configured are on the page from the start; old names are put together when a page is made. The first 1,000 model
/// names and fairness ids stand for themselves. Thread-safe, but for refresh(). A request's whole set of updates takes
/// about 1 us.
class EppMetrics {
 public:
  static constexpr std::size_t kModelsMax = 1'000;
  static constexpr std::size_t kFairnessIdsMax = 1'000;
  static constexpr std::size_t kRequestSeriesMax = MetricsRegistry::kSeriesMax;

  /// `registry` must outlive it.
  EppMetrics(MetricsRegistry& registry, EppMetricsOptions options);

  /// A request, as soon as its labels are known. Nothing is counted yet.
  [[nodiscard]] RequestMetrics request(const RequestLabels& labels);
  /// The same of one that is sent on now.
  [[nodiscard]] RequestMetrics begin(const RequestLabels& labels, std::uint64_t bytes);
  /// It was decided where the request goes. It is in flight there until it ends, if the decision is to dispatch.
  void decided(const RequestLabels& labels, const DecisionReport& report, RequestMetrics& request);

  /// Where the times of this scheduler's plugins go.
  [[nodiscard]] std::shared_ptr<const PluginTimes> plugin_times(std::span<const scheduling::TimedPlugin> plugins);
  void request_processed(Duration took) { request_processing_.observe(to_seconds(took)); }
  void response_processed(Duration took) { response_processing_.observe(to_seconds(took)); }
  /// `rule` names the object that replaced the model.
  void model_rewritten(std::string_view rule, std::string_view model, std::string_view target_model);
  /// Names of models that the configuration gives stand for themselves, however many clients make up.
  void pin_model(std::string_view model) { models_.pin(model); }

  void poll_failed(std::string_view source_type);
  void extract_failed(std::string_view source_type, std::string_view extractor_type);

  /// Items of one kind (image, audio, video) that were looked up; and those that an endpoint holds.
  void media_looked_up(std::string_view modality, std::size_t items);
  void media_found(std::string_view endpoint, std::string_view modality, std::size_t items);
  void media_hit_ratio(double ratio);

  void stream_opened();
  /// `code` is gRPC's, as Go writes it: OK, Canceled.
  void stream_closed(std::string_view code, Duration open);

  /// Prompts looked up in an index of what endpoints told: leading blocks found at the one with most.
  void kv_looked_up(std::uint64_t blocks_found, Duration took);
  void kv_admitted(std::uint64_t blocks);
  void kv_evicted(std::uint64_t blocks);
  void kv_removed(std::uint64_t forwarded, std::uint64_t suppressed);

  void rollout_no_match(std::string_view selector);
  void rollout_share(std::string_view mode, std::string_view revision, double share);

  /// Every 5 s, by one thread: the pool as it stands, and (block, endpoint) pairs of the prefix index.
  void refresh(const EndpointSnapshot& snapshot, TimePoint now, std::size_t prefix_entries = 0);

  [[nodiscard]] const std::string& pool_name() const noexcept { return options_.pool_name; }

 private:
  [[nodiscard]] std::shared_ptr<RequestSeries> make_series(const RequestSeries::Values& values);

  MetricsRegistry& registry_;
  const EppMetricsOptions options_;
  BoundedLabel models_{kModelsMax};
  BoundedLabel fairness_ids_{kFairnessIdsMax};
  PoolMetrics pool_;
  DecisionMetrics decisions_;
  std::unique_ptr<InflightMetrics> inflight_;                                       // null: no plugin shows it
  SeriesMap<2, std::shared_ptr<PredictionSeries>> predictions_{kRequestSeriesMax};  // by model and target model
  SeriesMap<4, std::shared_ptr<RequestSeries>> requests_{kRequestSeriesMax};        // as kRequestLabels
  Histogram& request_processing_;
  Histogram& response_processing_;
};

}  // namespace llmd::eppmetrics
