#include "eppmetrics/epp_metrics.h"

#include <charconv>
#include <set>
#include <utility>

#include "eppmetrics/plugin_families.h"
#include "eppmetrics/scheduler_families.h"

namespace llmd::eppmetrics {
namespace {

/// The families are declared before any member makes a series.
EppMetricsOptions declared(MetricsRegistry& registry, EppMetricsOptions options) {
  declare_families(registry, options.features);
  return options;
}

/// A number as a label, without allocating.
class NumberText {
 public:
  explicit NumberText(std::int32_t number) noexcept
      : end_{std::to_chars(text_.data(), text_.data() + text_.size(), number).ptr} {}
  [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), end_}; }

 private:
  std::array<char, 12> text_{};
  const char* end_;
};

std::optional<double> seconds_of(std::optional<float> ms) noexcept {
  if (!ms) return std::nullopt;
  return static_cast<double>(*ms) / 1e3;
}

Promise promise_of(const DecisionReport& report) noexcept {
  const LatencyBasis& said = report.decision.latency;
  Promise promise{.ttft_objective = seconds_of(report.facts.slo_ttft_ms),
                  .tpot_objective = seconds_of(report.facts.slo_tpot_ms)};
  if (!said.known) return promise;
  promise.ttft = static_cast<double>(said.ttft_ms) / 1e3;
  promise.tpot = static_cast<double>(said.tpot_ms) / 1e3;
  return promise;
}

}  // namespace

EppMetrics::EppMetrics(MetricsRegistry& registry, EppMetricsOptions options)
    : registry_{registry},
      options_{declared(registry, std::move(options))},
      pool_{registry, options_.pool_name},
      decisions_{registry, {.disagg = options_.features.disagg, .prefix = options_.features.prefix}},
      request_processing_{histogram_of(registry, kRequestProcessing)},
      response_processing_{histogram_of(registry, kResponseProcessing)} {
  if (options_.features.inflight)
    inflight_ = std::make_unique<InflightMetrics>(registry, options_.features.inflight->name);
  gauge_of(registry, kInfo, std::array<std::string_view, 2>{options_.commit, options_.build_ref}).set(1);
}

std::shared_ptr<RequestSeries> EppMetrics::make_series(const RequestSeries::Values& values) {
  std::shared_ptr<PredictionSeries> predictions;
  if (const auto& plugin = options_.features.predictor) {
    predictions = predictions_.find_or_make({values[0], values[1]}, [&](const auto& models) {
      return std::make_shared<PredictionSeries>(registry_, *plugin, models[0], models[1]);
    });
  }
  return std::make_shared<RequestSeries>(registry_, values, predictions.get());
}

RequestMetrics EppMetrics::request(const RequestLabels& labels) {
  const NumberText priority{labels.priority};
  RequestSeries::Values values{labels.model, labels.target_model, labels.fairness_id, priority.view()};
  auto series = requests_.find(values);
  if (series == nullptr) {
    values[0] = models_.bound(labels.model);
    values[1] = models_.bound(labels.target_model);
    values[2] = fairness_ids_.bound(labels.fairness_id);
    series = requests_.find_or_make(values, [&](const auto& counted) { return make_series(counted); });
  }
  return {*series, inflight_.get()};  // series are never taken out
}

RequestMetrics EppMetrics::begin(const RequestLabels& labels, std::uint64_t bytes) {
  RequestMetrics made = request(labels);
  made.sent(bytes);
  return made;
}

void EppMetrics::decided(const RequestLabels& labels, const DecisionReport& report, RequestMetrics& request) {
  const Decision& decision = report.decision;
  decisions_.decided(decision, report.facts, models_.bound(labels.target_model), report.took);
  request.predicted(promise_of(report));
  if (report.prediction_took) request.predictions_made(*report.prediction_took);
  if (decision.outcome != Decision::Outcome::kDispatch || inflight_ == nullptr) return;
  request.in_flight({.endpoint = decision.decode->name,
                     .prompt_tokens = report.load_tokens,
                     .output_tokens = report.output_load_tokens});
  if (decision.prefill == nullptr) return;
  request.in_flight(
      {.endpoint = decision.prefill->name, .prompt_tokens = report.load_tokens, .until_first_token = true});
}

std::shared_ptr<const PluginTimes> EppMetrics::plugin_times(std::span<const scheduling::TimedPlugin> plugins) {
  return std::make_shared<const PluginTimes>(registry_, plugins);
}

void EppMetrics::model_rewritten(std::string_view rule, std::string_view model, std::string_view target_model) {
  counter_of(registry_, kModelRewrites, std::array{rule, models_.bound(model), target_model}).add();
}

void EppMetrics::poll_failed(std::string_view source_type) {
  counter_of(registry_, kPollErrors, std::array{source_type}).add();
}

void EppMetrics::extract_failed(std::string_view source_type, std::string_view extractor_type) {
  counter_of(registry_, kExtractErrors, std::array{source_type, extractor_type}).add();
}

void EppMetrics::media_looked_up(std::string_view modality, std::size_t items) {
  if (const auto& plugin = options_.features.encoder)
    counter_of(registry_, kEncoderQueries, std::array<std::string_view, 3>{plugin->type, plugin->name, modality})
        .add(static_cast<double>(items));
}

void EppMetrics::media_found(std::string_view endpoint, std::string_view modality, std::size_t items) {
  if (const auto& plugin = options_.features.encoder)
    counter_of(registry_, kEncoderHits, std::array<std::string_view, 4>{plugin->type, plugin->name, endpoint, modality})
        .add(static_cast<double>(items));
}

void EppMetrics::media_hit_ratio(double ratio) {
  if (const auto& plugin = options_.features.encoder)
    histogram_of(registry_, kEncoderHitRatio, std::array<std::string_view, 2>{plugin->type, plugin->name})
        .observe(ratio);
}

void EppMetrics::stream_opened() {
  if (options_.features.stream_metrics) gauge_of(registry_, kStreamsInflight).add(1);
}

void EppMetrics::stream_closed(std::string_view code, Duration open) {
  if (!options_.features.stream_metrics) return;
  gauge_of(registry_, kStreamsInflight).add(-1);
  histogram_of(registry_, kStreamDuration).observe(to_seconds(open));
  counter_of(registry_, kStreams, std::array{code}).add();
}

void EppMetrics::kv_looked_up(std::uint64_t blocks_found, Duration took) {
  if (!options_.features.kv_index) return;
  counter_of(registry_, kKvLookups).add();
  counter_of(registry_, kKvHits).add(static_cast<double>(blocks_found));
  counter_of(registry_, kKvMaxHits).add(static_cast<double>(blocks_found));
  histogram_of(registry_, kKvLookupLatency).observe(to_seconds(took));
}

void EppMetrics::kv_admitted(std::uint64_t blocks) {
  if (options_.features.kv_index) counter_of(registry_, kKvAdmissions).add(static_cast<double>(blocks));
}

void EppMetrics::kv_evicted(std::uint64_t blocks) {
  if (options_.features.kv_index) counter_of(registry_, kKvEvictions).add(static_cast<double>(blocks));
}

void EppMetrics::kv_removed(std::uint64_t forwarded, std::uint64_t suppressed) {
  if (!options_.features.kv_index) return;
  counter_of(registry_, kKvForwarded).add(static_cast<double>(forwarded));
  counter_of(registry_, kKvSuppressed).add(static_cast<double>(suppressed));
}

void EppMetrics::rollout_no_match(std::string_view selector) {
  if (const auto& plugin = options_.features.rollout)
    counter_of(registry_, kRolloutNoMatch, std::array<std::string_view, 3>{plugin->type, plugin->name, selector}).add();
}

void EppMetrics::rollout_share(std::string_view mode, std::string_view revision, double share) {
  if (const auto& plugin = options_.features.rollout)
    gauge_of(registry_, kRolloutShare, std::array<std::string_view, 4>{plugin->type, plugin->name, mode, revision})
        .set(share);
}

void EppMetrics::refresh(const EndpointSnapshot& snapshot, TimePoint now, std::size_t prefix_entries) {
  pool_.refresh(snapshot, now, options_.metrics_age_max);
  decisions_.set_prefix_entries(prefix_entries);
  if (inflight_ == nullptr) return;
  std::set<std::string_view> there;
  for (const EndpointState& state : snapshot.endpoints) there.insert(state.endpoint->name);
  inflight_->keep([&](const std::string& endpoint) { return there.contains(endpoint); });
}

}  // namespace llmd::eppmetrics
