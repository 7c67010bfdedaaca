#include "eppmetrics/request_metrics.h"

namespace llmd::eppmetrics {
namespace {

const Family& family_of(RequestSeries::Of of) {
  switch (of) {
    case RequestSeries::kDuration: return kRequestDuration;
    case RequestSeries::kRequestBytes: return kRequestSize;
    case RequestSeries::kResponseBytes: return kResponseSize;
    case RequestSeries::kInput: return kInputTokens;
    case RequestSeries::kOutput: return kOutputTokens;
    case RequestSeries::kCached: return kCachedTokens;
    case RequestSeries::kPerToken: return kNtpot;
    case RequestSeries::kFirstToken:
    case RequestSeries::kFirstTokenStreamed: return kTtft;
    case RequestSeries::kTokenTime: return kTpot;
    case RequestSeries::kTokenGap:
    case RequestSeries::kHistograms: break;
  }
  return kItl;
}

}  // namespace

RequestSeries::RequestSeries(MetricsRegistry& registry, const Values& values, PredictionSeries* predictions)
    : registry_{registry},
      values_{std::string{values[0]}, std::string{values[1]}, std::string{values[2]}, std::string{values[3]}},
      predictions_{predictions} {}

Histogram& RequestSeries::histogram(Of of) {
  std::atomic<Histogram*>& slot = histograms_[of];
  if (Histogram* known = slot.load(std::memory_order_acquire); known != nullptr) return *known;
  const Values own = values();
  Histogram* made = nullptr;
  if (of == kFirstToken || of == kFirstTokenStreamed) {
    const std::string_view streaming = of == kFirstToken ? "false" : "true";
    made = &histogram_of(registry_, family_of(of), std::array{own[0], own[1], own[2], own[3], streaming});
  } else {
    made = &histogram_of(registry_, family_of(of), own);
  }
  slot.store(made, std::memory_order_release);  // of two that come here at once both have the same
  return *made;
}

Counter& RequestSeries::total() {
  if (Counter* known = total_.load(std::memory_order_acquire); known != nullptr) return *known;
  Counter& made = counter_of(registry_, kRequestTotal, values());
  total_.store(&made, std::memory_order_release);
  return made;
}

Gauge* RequestSeries::running() {
  if (values_[0].empty()) return nullptr;
  if (Gauge* known = running_.load(std::memory_order_acquire); known != nullptr) return known;
  Gauge& made = gauge_of(registry_, kRequestRunning, values());
  running_.store(&made, std::memory_order_release);
  return &made;
}

void RequestSeries::count_error(std::string_view code) {
  if (code.empty()) return;
  const Values own = values();
  counter_of(registry_, kRequestErrorTotal, std::array{own[0], own[1], own[2], own[3], code}).add();
}

RequestMetrics::RequestMetrics(RequestMetrics&& other) noexcept : series_{other.series_}, inflight_{other.inflight_} {
  take(other);
}

RequestMetrics& RequestMetrics::operator=(RequestMetrics&& other) noexcept {
  if (this == &other) return *this;
  leave();
  series_ = other.series_;
  inflight_ = other.inflight_;
  take(other);
  return *this;
}

void RequestMetrics::take(RequestMetrics& other) noexcept {
  running_ = std::exchange(other.running_, nullptr);
  legs_ = std::move(other.legs_);
  leg_count_ = std::exchange(other.leg_count_, 0);
  ttft_ = other.ttft_;
  promise_ = other.promise_;
}

void RequestMetrics::leave() noexcept {
  if (running_ != nullptr) std::exchange(running_, nullptr)->add(-1);
  for (std::size_t i = 0; i < leg_count_; ++i) legs_[i].end();
  leg_count_ = 0;
}

void RequestMetrics::sent(std::uint64_t bytes) {
  series_->count();
  series_->observe(RequestSeries::kRequestBytes, static_cast<double>(bytes));
  if (running_ != nullptr) return;
  running_ = series_->running();
  if (running_ != nullptr) running_->add(1);
}

void RequestMetrics::in_flight(const InflightLeg& leg) {
  if (inflight_ == nullptr || leg_count_ == kLegsMax) return;
  legs_[leg_count_++] = inflight_->hold(leg, series_->fairness_id(), series_->priority());
}

void RequestMetrics::first_token(Duration ttft, bool streaming) {
  if (ttft_ || ttft <= Duration{}) return;
  ttft_ = ttft;
  series_->observe(streaming ? RequestSeries::kFirstTokenStreamed : RequestSeries::kFirstToken, to_seconds(ttft));
  for (std::size_t i = 0; i < leg_count_; ++i) legs_[i].first_token();
  if (series_->predictions() != nullptr) series_->predictions()->first_token(to_seconds(ttft), promise_);
}

void RequestMetrics::end(const RequestEnd& end) {
  const auto tokens = static_cast<double>(end.usage.completion_tokens);
  const double seconds = to_seconds(end.duration);
  series_->observe(RequestSeries::kResponseBytes, static_cast<double>(end.response_bytes));
  if (end.usage.prompt_tokens > 0)
    series_->observe(RequestSeries::kInput, static_cast<double>(end.usage.prompt_tokens));
  if (end.usage.completion_tokens > 0) series_->observe(RequestSeries::kOutput, tokens);
  if (end.usage.cached_tokens) series_->observe(RequestSeries::kCached, static_cast<double>(*end.usage.cached_tokens));
  if (seconds > 0) {
    series_->observe(RequestSeries::kDuration, seconds);
    if (end.usage.completion_tokens > 0) series_->observe(RequestSeries::kPerToken, seconds / tokens);
  }
  if (end.streaming && ttft_ && end.duration > *ttft_ && end.usage.completion_tokens > 1) {
    const double tpot = to_seconds(end.duration - *ttft_) / (tokens - 1);
    series_->observe(RequestSeries::kTokenTime, tpot);
    if (series_->predictions() != nullptr) series_->predictions()->tokens(tpot, promise_);
  }
  leave();
}

}  // namespace llmd::eppmetrics
