#include "health/signal_keeper.h"

#include <algorithm>
#include <cmath>

namespace llmd::health {
namespace {

constexpr double kHalfLifeSeconds = 15;
constexpr double kKeptASecond = 0.8;  // of a moving mean: what the values before count after it, however many come

float moved(const Reading<float>& before, float value, TimePoint now) {
  if (!before.value) return value;
  const double kept = std::pow(kKeptASecond, to_seconds(std::max(Duration{}, now - before.at)));
  return *before.value + static_cast<float>(1 - kept) * (value - *before.value);
}

}  // namespace

void SignalKeeper::set(Signal signal, float value, TimePoint now) {
  if (!std::isfinite(value)) return;
  current_[signal] = {.value = value, .at = now};
  dirty_ = true;
}

void SignalKeeper::on_sample(const SignalSample& sample, TimePoint now) {
  const auto copy = [&](Signal signal, const std::optional<float>& value) {
    if (value) set(signal, *value, now);
  };
  copy(Signal::kQueuedTokens, sample.queued_tokens);
  copy(Signal::kDecodeTokensLeft, sample.decode_tokens_left);
  copy(Signal::kCpuUse, sample.cpu_use);
  copy(Signal::kGpuUse, sample.gpu_use);
  copy(Signal::kMemoryUse, sample.memory_use);
  copy(Signal::kBandwidthMbps, sample.bandwidth_mbps);
  copy(Signal::kPacketLoss, sample.packet_loss);
  if (sample.round_trip) {
    const auto ms = static_cast<float>(to_milliseconds(*sample.round_trip));
    set(Signal::kLatencyMs, moved(current_[Signal::kLatencyMs], ms, now), now);
  }
  if (sample.prefix_query_tokens && sample.prefix_hit_tokens) {
    const double queries = *sample.prefix_query_tokens - queries_.value_or(*sample.prefix_query_tokens);
    const double hits = *sample.prefix_hit_tokens - hits_.value_or(*sample.prefix_hit_tokens);
    // A counter that fell is a new process's.
    if (queries > 0 && hits >= 0) {
      const auto ratio = static_cast<float>(std::min(1.0, hits / queries));
      set(Signal::kCacheHitRatio, moved(current_[Signal::kCacheHitRatio], ratio, now), now);
    } else if (queries == 0 && current_[Signal::kCacheHitRatio].value) {
      set(Signal::kCacheHitRatio, *current_[Signal::kCacheHitRatio].value, now);  // nobody asked: it stays as it was
    }
    queries_ = sample.prefix_query_tokens;
    hits_ = sample.prefix_hit_tokens;
  }
}

void SignalKeeper::on_named(std::string_view name, float value, TimePoint now) {
  if (!std::isfinite(value)) return;
  const auto at = std::ranges::lower_bound(current_.named, name, {}, &NamedReading::name);
  if (at != current_.named.end() && at->name == name) {
    at->reading = {.value = value, .at = now};
  } else {
    current_.named.insert(at, {.name = std::string{name}, .reading = {.value = value, .at = now}});
  }
  dirty_ = true;
}

void SignalKeeper::on_ready(bool ready, TimePoint now) {
  if (!ready) {
    ready_since_.reset();
    if (current_[Signal::kReadySeconds].value) set(Signal::kReadySeconds, 0, now);
    return;
  }
  if (!ready_since_) ready_since_ = now;
  set(Signal::kReadySeconds, static_cast<float>(to_seconds(now - *ready_since_)), now);
}

void SignalKeeper::on_request(bool failed, TimePoint now) {
  const double kept = std::exp2(-to_seconds(std::max(Duration{}, now - decayed_at_)) / kHalfLifeSeconds);
  requests_ = requests_ * kept + 1;
  failures_ = failures_ * kept + (failed ? 1 : 0);
  decayed_at_ = now;
  set(Signal::kErrorRate, static_cast<float>(failures_ / requests_), now);
}

std::shared_ptr<const EndpointSignals> SignalKeeper::signals() {
  if (dirty_) published_ = std::make_shared<const EndpointSignals>(current_);
  dirty_ = false;
  return published_;
}

}  // namespace llmd::health
