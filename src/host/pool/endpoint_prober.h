#pragma once

#include <memory>

#include "base/clock.h"
#include "pool/pool.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"

namespace llmd::pool {

struct ProberOptions {
  milliseconds interval{1'000};  // between two probes of an endpoint; jittered by a tenth, so that probes do not align
  milliseconds timeout{1'000};   // of one request of a probe
  milliseconds backoff_max{5'000};       // an endpoint that does not answer is asked less and less often, down to this
  milliseconds models_interval{10'000};  // between two looks at /v1/models once the model is known
};

/// Looks at every endpoint of a pool in turn, one coroutine an endpoint on one loop: /ready (or /health where there is
/// none), then /metrics, and /v1/models while the model is unknown and now and then. What it finds goes to the pool as
/// a Probe. Everything that an endpoint sends is bounded in time and bytes.
class EndpointProber {
 public:
  /// The pool and the registry must outlive the loop's coroutines: destroy the loop first, or stop() and let it run
  /// out.
  EndpointProber(Loop& loop, Pool& pool, MetricsRegistry& metrics, ProberOptions options);
  ~EndpointProber();
  EndpointProber(const EndpointProber&) = delete;
  EndpointProber& operator=(const EndpointProber&) = delete;

  /// On the loop. Follows changes of the pool's set from now on.
  void start();
  /// On the loop. Cancels what is under way.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace llmd::pool
