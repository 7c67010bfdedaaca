#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "model/endpoint.h"

namespace llmd::health {

/// What one look at an endpoint may tell beside its readiness. Counters are since the engine's start.
struct SignalSample {
  std::optional<double> prefix_query_tokens{};
  std::optional<double> prefix_hit_tokens{};
  std::optional<float> queued_tokens{};
  std::optional<float> decode_tokens_left{};
  std::optional<float> cpu_use{};
  std::optional<float> gpu_use{};
  std::optional<float> memory_use{};
  std::optional<float> bandwidth_mbps{};
  std::optional<float> packet_loss{};
  std::optional<Duration> round_trip{};
};

/// Makes an endpoint's signals of what is seen of it: rates of counters, moving means, how its requests end. One object
/// an endpoint; not thread-safe; O(1).
class SignalKeeper {
 public:
  void on_sample(const SignalSample& sample, TimePoint now);
  /// A number that a configuration gave this name: as many names as it has. O(names).
  void on_named(std::string_view name, float value, TimePoint now);
  void on_ready(bool ready, TimePoint now);
  void on_request(bool failed, TimePoint now);

  /// Null while nothing is known. Shared with snapshots, and never changed.
  [[nodiscard]] std::shared_ptr<const EndpointSignals> signals();

 private:
  void set(Signal signal, float value, TimePoint now);

  EndpointSignals current_;
  std::shared_ptr<const EndpointSignals> published_;
  std::optional<TimePoint> ready_since_;
  std::optional<double> queries_;  // counters at the last sample
  std::optional<double> hits_;
  double requests_ = 0;  // of late: each counts half after kHalfLife
  double failures_ = 0;
  TimePoint decayed_at_{};
  bool dirty_ = false;
};

}  // namespace llmd::health
