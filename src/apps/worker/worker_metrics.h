#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "engine/engine.h"
#include "runtime/resource_use.h"
#include "telemetry/metrics.h"

namespace llmd::worker {

/// How one request went, for the histograms.
struct RequestOutcome {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;
  std::uint32_t choices = 1;
  std::uint32_t max_tokens = 0;  // as asked; 0: not given
  Duration first_token{};        // from arrival; zero if none came
  Duration total{};
};

/// The worker's series: vLLM's names, types and bucket edges, so that routers made for vLLM read them, and beside them
/// ours as llmd_worker_*. Thread-safe but for attach(), which is called once.
class WorkerMetrics {
 public:
  WorkerMetrics(MetricsRegistry& registry, const std::string& model_name);

  /// From now on the engine's load is read at each collection, and its steps are counted; before, its series stand at
  /// 0. The engine must outlive the registry's last collection, and the registry the engine.
  void attach(Engine& engine);

  void observe_first_token(Duration since_arrival);
  void observe_inter_token(Duration gap);
  void observe_request(const RequestOutcome& outcome);
  /// Once a sequence, at its end: the phases that it went through. One that got no slot waited for nothing.
  void observe_sequence(const SequenceTimes& times);
  /// Once a sequence: "stop", "length", "abort" or "error".
  void count_finish(FinishReason reason);
  void count_response(int status);
  void set_ready(bool ready) { ready_.set(ready ? 1 : 0); }
  Gauge& in_flight() { return in_flight_; }

 private:
  void add_engine_series();
  void refresh();

  ResourceUse resources_;
  MetricsRegistry& registry_;
  LabelSet labels_;
  Histogram& first_token_;
  Histogram& inter_token_;
  Histogram& request_per_token_;
  Histogram& total_;
  Histogram& queue_time_;
  Histogram& prefill_time_;
  Histogram& decode_time_;
  Histogram& inference_time_;
  Histogram& step_tokens_;
  Histogram& prompt_size_;
  Histogram& output_size_;
  Histogram& choices_;
  Histogram& max_tokens_;
  std::array<Counter*, 4> finishes_{};
  Gauge& ready_;
  Gauge& cpu_use_;
  Gauge& memory_use_;
  Gauge& in_flight_;

  struct EngineGauge {
    Gauge& gauge;
    double (*read)(const EngineLoad& load);
  };
  struct EngineCounter {
    Counter& counter;
    double (*read)(const EngineLoad& load);
  };
  std::vector<EngineGauge> engine_gauges_;
  std::vector<EngineCounter> engine_counters_;
  std::atomic<const Engine*> engine_{nullptr};
};

}  // namespace llmd::worker
