#pragma once

#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "eppmetrics/plugin_name.h"
#include "telemetry/metrics.h"

namespace llmd::eppmetrics {

/// What was predicted for a request, and what its client hopes for. Seconds.
struct Promise {
  std::optional<double> ttft{};
  std::optional<double> tpot{};
  std::optional<double> ttft_objective{};
  std::optional<double> tpot_objective{};
};

/// How predictions of a model's latencies fare. Thread-safe.
class PredictionSeries {
 public:
  /// `registry` must outlive it.
  PredictionSeries(MetricsRegistry& registry, const PluginName& plugin, std::string_view model,
                   std::string_view target_model);
  /// Predictions for one request took so long.
  void made(Duration took);
  void first_token(double ttft, const Promise& promise);
  /// Time per output token of a streamed answer.
  void tokens(double tpot, const Promise& promise);

 private:
  enum Which : std::size_t { kFirst, kToken, kWhich };
  struct Half {
    Histogram& predicted;
    Histogram& prediction_took;
    Histogram& seen;
    Gauge& last;
    Gauge& last_predicted;
    Gauge& last_took;
    Gauge& last_violation;
    Counter& violations;
  };
  [[nodiscard]] static Half make(MetricsRegistry& registry, const std::array<std::string_view, 4>& values, Which which);
  static void saw(Half& half, double seen, std::optional<double> predicted, std::optional<double> objective);

  Half first_;
  Half token_;
};

}  // namespace llmd::eppmetrics
