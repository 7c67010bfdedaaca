#include "health/outlier_evidence.h"

#include <algorithm>
#include <cmath>

namespace llmd::health {
namespace {

float log_of(float ratio) noexcept {
  return ratio > 0 && std::isfinite(ratio) ? std::log(ratio) : std::numeric_limits<float>::quiet_NaN();
}

}  // namespace

std::int64_t OutlierEvidence::bucket_index(Duration window, TimePoint now) noexcept {
  return now.time_since_epoch() / std::max(Duration{1}, window / static_cast<std::int64_t>(kBuckets));
}

void OutlierEvidence::on_ended(bool failed, Duration window, TimePoint now) noexcept {
  const std::int64_t index = bucket_index(window, now);
  Bucket& bucket = buckets_[static_cast<std::size_t>(index) % kBuckets];
  if (bucket.index != index) bucket = {.index = index};
  ++bucket.ended.requests;
  if (failed) ++bucket.ended.failures;
}

OutlierEvidence::Ended OutlierEvidence::ended(Duration window, TimePoint now) const noexcept {
  const std::int64_t last = bucket_index(window, now);
  Ended sum;
  for (const Bucket& bucket : buckets_) {
    if (bucket.index <= last - static_cast<std::int64_t>(kBuckets)) continue;
    sum.requests += bucket.ended.requests;
    sum.failures += bucket.ended.failures;
  }
  return sum;
}

void OutlierEvidence::on_latency(const LatencySample& sample, TimePoint now) noexcept {
  samples_[written_++ % kSamples] = {
      .sent_at = sample.sent_at, .ended_at = now, .logs = {log_of(sample.ttft_ratio), log_of(sample.tpot_ratio)}};
}

std::size_t OutlierEvidence::ratios(LatencyKind kind, TimePoint sent_from, TimePoint ended_from,
                                    std::span<float> out) const noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < std::min(written_, kSamples); ++i) {
    const Sample& sample = samples_[i];
    const float log = sample.logs[static_cast<std::size_t>(kind)];
    if (sample.sent_at >= sent_from && sample.ended_at >= ended_from && !std::isnan(log)) out[count++] = log;
  }
  return count;
}

}  // namespace llmd::health
