#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "exporters/otlp.h"
#include "rpc/client.h"
#include "runtime/event.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"
#include "telemetry/span.h"
#include "tracing/tracing_options.h"

namespace llmd::tracing {

/// Decides which requests are traced, gathers their spans and sends them on. Thread-safe but for what says otherwise;
/// run() and finish() are of the home loop.
class Tracer {
 public:
  static constexpr std::size_t kQueuedMax = 2'048;  // spans; further ones are dropped and counted
  static constexpr std::size_t kBatchMax = 512;
  static constexpr milliseconds kDelay{5'000};  // at most, from a span's end to its export

  /// `home` and `metrics` must outlive it.
  Tracer(Loop& home, TracingOptions options, MetricsRegistry& metrics);
  ~Tracer();
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  /// Where a request stands from now on: in its caller's trace, sampled if that is; else in a new one, sampled by the
  /// ratio.
  [[nodiscard]] TraceContext begin(const std::optional<TraceContext>& parent, Rng& chance) const;
  /// A place below `parent`.
  [[nodiscard]] static TraceContext below(const TraceContext& parent, Rng& chance);
  /// A span of a sampled trace that has ended.
  void add(Span span);

  /// Exports until finish().
  [[nodiscard]] Task<void> run();
  /// What is queued is exported, for so long at most, and run() ends.
  [[nodiscard]] Task<void> finish(Duration limit);

 private:
  [[nodiscard]] Task<void> export_batch(std::vector<Span> batch);
  [[nodiscard]] std::vector<Span> take_batch();

  const TracingOptions options_;
  const SpanSource source_;
  Counter& exported_;
  Counter& failed_;
  Counter& dropped_;
  std::optional<rpc::Channel> collector_;
  Event wake_;
  Event done_;  // run() is
  Loop& home_;
  std::mutex mutex_;
  std::vector<Span> queued_;
  bool stopping_ = false;  // of the home loop, as what follows
  std::string trouble_;    // told last
};

}  // namespace llmd::tracing
