#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "eppmetrics/inflight_metrics.h"
#include "eppmetrics/prediction_metrics.h"
#include "eppmetrics/request_families.h"
#include "telemetry/metrics.h"

namespace llmd::eppmetrics {

/// Whose request it is, and for what.
struct RequestLabels {
  std::string_view model{};         // as the client names it
  std::string_view target_model{};  // as the engine does
  std::string_view fairness_id{};
  std::int32_t priority = 0;
};

/// The tokens of a request, as the engine reported them. 0: it did not.
struct TokenUsage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
  std::optional<std::uint64_t> cached_tokens{};
};

/// A request that has ended as it should.
struct RequestEnd {
  Duration duration{};  // from its arrival to the end of the answer
  TokenUsage usage{};
  std::uint64_t response_bytes = 0;
  bool streaming = false;
};

/// The series of all requests with the same labels. Each comes onto the page with its first value. Thread-safe.
class RequestSeries {
 public:
  enum Of : std::size_t {
    kDuration,
    kRequestBytes,
    kResponseBytes,
    kInput,
    kOutput,
    kCached,
    kPerToken,
    kFirstToken,
    kFirstTokenStreamed,
    kTokenTime,
    kTokenGap,
    kHistograms,
  };
  using Values = std::array<std::string_view, 4>;  // as kRequestLabels

  RequestSeries(MetricsRegistry& registry, const Values& values, PredictionSeries* predictions);
  void observe(Of of, double value) { histogram(of).observe(value); }
  void count() { total().add(); }
  void count_error(std::string_view code);
  /// Null for requests without a model, as llm-d has it.
  [[nodiscard]] Gauge* running();
  /// Null: nothing predicts latencies.
  [[nodiscard]] PredictionSeries* predictions() const noexcept { return predictions_; }
  [[nodiscard]] const std::string& fairness_id() const noexcept { return values_[2]; }
  [[nodiscard]] const std::string& priority() const noexcept { return values_[3]; }

 private:
  [[nodiscard]] Values values() const noexcept { return {values_[0], values_[1], values_[2], values_[3]}; }
  [[nodiscard]] Histogram& histogram(Of of);
  [[nodiscard]] Counter& total();

  MetricsRegistry& registry_;
  const std::array<std::string, 4> values_;
  PredictionSeries* const predictions_;
  std::array<std::atomic<Histogram*>, kHistograms> histograms_{};
  std::atomic<Counter*> total_{nullptr};
  std::atomic<Gauge*> running_{nullptr};
};

/// One request's way onto the page. Movable; one thread at a time. What it holds of gauges is given back when it goes.
class RequestMetrics {
 public:
  /// What `series` and `inflight` count must outlive it; `inflight` may be null.
  RequestMetrics(RequestSeries& series, InflightMetrics* inflight) noexcept : series_{&series}, inflight_{inflight} {}
  ~RequestMetrics() { leave(); }
  RequestMetrics(RequestMetrics&& other) noexcept;
  RequestMetrics& operator=(RequestMetrics&& other) noexcept;

  /// What was predicted of it and what its client hopes for, before it is sent.
  void predicted(const Promise& promise) noexcept { promise_ = promise; }
  /// Predictions for it took so long.
  void predictions_made(Duration took) {
    if (series_->predictions() != nullptr) series_->predictions()->made(took);
  }
  /// It was sent on, with a body of so many bytes. It runs from now on.
  void sent(std::uint64_t bytes);
  /// It adds to what is in flight at an endpoint, until it has its first token or ends. At most kLegsMax.
  void in_flight(const InflightLeg& leg);
  /// It went wrong: `code` is one of llm-d's names. Once; it may never have been sent.
  void request_error(std::string_view code) { series_->count_error(code); }
  /// The first byte of the answer's body came so long after the request.
  void first_token(Duration ttft, bool streaming);
  /// A chunk of a streamed answer came so long after the one before.
  void token(Duration gap) { series_->observe(RequestSeries::kTokenGap, to_seconds(gap)); }
  /// The answer has ended. Once; without it nothing is known of the request's duration and tokens.
  void end(const RequestEnd& end);

 private:
  static constexpr std::size_t kLegsMax = 2;
  void leave() noexcept;
  void take(RequestMetrics& other) noexcept;

  RequestSeries* series_;
  InflightMetrics* inflight_;
  Gauge* running_ = nullptr;
  std::array<InflightHold, kLegsMax> legs_{};
  std::size_t leg_count_ = 0;
  std::optional<Duration> ttft_{};
  Promise promise_{};
};

}  // namespace llmd::eppmetrics
