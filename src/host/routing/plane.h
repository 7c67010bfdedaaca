#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "model/endpoint.h"
#include "pool/anomaly_report.h"
#include "pool/endpoint_prober.h"
#include "pool/pool.h"
#include "routing/flow_strand.h"
#include "routing/live_config.h"
#include "routing/plugin_libraries.h"
#include "routing/router.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"

namespace llmd::routing {

struct PlaneOptions {
  ConfigSource config_source;
  LoadedConfig config;              // load_config() of the source
  std::vector<Endpoint> endpoints;  // may be empty: they can come later
  std::string endpoint_file{};      // watched for changes; empty: none
  std::string pool_name = "epp";    // a label of llm-d's metrics
  pool::PoolOptions pool{};
  RouterOptions router{};
  pool::ProberOptions prober{};
  /// Where the endpoints are looked at; stopped and discarded before the plane goes. Null: on a loop of its own.
  Loop* probe_loop = nullptr;
};

/// What decides, put together: pool and prober, router, flow control, and the configuration in force, each kept up to
/// date. Gateway and endpoint picker host one. Its parts are thread-safe as they say; the plane itself is of its home
/// loop. Order of life: a plane is made before the loops that ask it get threads, and close() comes before these loops
/// are discarded.
class Plane {
 public:
  /// `home` and `metrics` must outlive it. Error kConfigInvalid.
  [[nodiscard]] static Result<std::unique_ptr<Plane>> make(Loop& home, PlaneOptions options, MetricsRegistry& metrics);
  ~Plane();
  Plane(const Plane&) = delete;
  Plane& operator=(const Plane&) = delete;

  [[nodiscard]] pool::Pool& pool() noexcept { return pool_; }
  [[nodiscard]] const std::string& endpoint_file() const noexcept { return endpoint_file_; }
  [[nodiscard]] Router& router() noexcept { return *router_; }
  [[nodiscard]] FlowStrand& flow() noexcept { return *flow_; }
  [[nodiscard]] LiveConfig& live_config() noexcept { return *live_config_; }

  /// The endpoints are these from now on, and `file` is watched. On the home loop.
  void replace_endpoints(std::vector<Endpoint> endpoints, std::string file);

  /// Begins to probe, on the loop for that, and to let requests through and to look for changes, on the home loop.
  void start();
  /// The endpoints are not looked at any more, and what waits is answered. On the home loop.
  void stop();
  /// What waits or ends from here on lets nothing else go. Any thread.
  void close() { flow_->close(); }

 private:
  Plane(Loop& home, PlaneOptions options, MetricsRegistry& metrics);
  [[nodiscard]] Task<void> keep_up();
  void look_at_endpoint_file();

  Loop& home_;
  std::string endpoint_file_;
  std::pair<std::filesystem::file_time_type, std::uintmax_t> endpoint_stamp_;
  pool::Pool pool_;
  pool::AnomalyReport anomaly_report_;
  LoadedLibraries libraries_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<FlowStrand> flow_;
  std::unique_ptr<LiveConfig> live_config_;
  std::unique_ptr<Loop> own_probe_loop_;  // null: it is given
  Loop& probe_loop_;
  std::unique_ptr<pool::EndpointProber> prober_;
  std::jthread probe_thread_;
  bool stopped_ = false;
};

}  // namespace llmd::routing
