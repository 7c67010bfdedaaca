#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "config/endpoint_picker_config.h"
#include "net/tls_client.h"
#include "pool/pool.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"

namespace llmd::pool {

struct ProberOptions {
  milliseconds interval{1'000};     // between two looks at an endpoint; jittered by a tenth, so that looks do not align
  milliseconds timeout{1'000};      // of one request of a look
  milliseconds backoff_max{5'000};  // an endpoint that does not answer is asked less and less often, down to this
  milliseconds models_interval{10'000};  // between two looks at the models once they are known
  /// Of one core: looks at all endpoints together take no more, and come less often instead. What the loop's thread
  /// does beside looking counts, too.
  double cpu_share_max = 0.4;
  std::optional<config::PageSource> metrics{config::PageSource{.path = "/metrics"}};  // none: not asked
  std::optional<config::PageSource> models{};                                         // none: /v1/models
  config::CoreExtractorConfig extractor{};
  std::vector<config::ExporterSource> exporters{};
  std::shared_ptr<const net::TlsClient> tls{};  // for endpoints with https://; null: these do not answer
};

/// With what a configuration says of sources.
[[nodiscard]] ProberOptions prober_options(const config::DataLayerConfig& layer);

/// Looks at every endpoint of a pool in turn, one coroutine an endpoint on one loop: /ready (or /health where there is
/// none) at each interval, the metrics at theirs, and the models while they are unknown and now and then; one coroutine
/// more for each exporter beside it. What it finds goes to the pool as a Probe. Everything that an endpoint sends is
/// bounded in time and bytes.
class EndpointProber {
 public:
  /// The pool and the registry must outlive the loop's coroutines: destroy the loop first, or stop() and let it run
  /// out. The loop should have little else to do: see cpu_share_max.
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
