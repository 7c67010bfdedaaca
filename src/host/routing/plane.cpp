#include "routing/plane.h"

#include <random>
#include <utility>

#include "pool/endpoint_list.h"
#include "scheduling/scheduler.h"
#include "telemetry/log.h"

namespace llmd::routing {
namespace {

constexpr milliseconds kLookInterval{1'000};

}  // namespace

Plane::Plane(Loop& home, PlaneOptions options, MetricsRegistry& metrics)
    : home_{home},
      endpoint_file_{std::move(options.endpoint_file)},
      endpoint_stamp_{stamp_of(endpoint_file_)},
      pool_{options.pool},
      anomaly_report_{metrics},
      libraries_{metrics},
      own_probe_loop_{options.probe_loop == nullptr ? std::make_unique<Loop>("probes") : nullptr},
      probe_loop_{own_probe_loop_ != nullptr ? *own_probe_loop_ : *options.probe_loop} {}

Result<std::unique_ptr<Plane>> Plane::make(Loop& home, PlaneOptions options, MetricsRegistry& metrics) {
  scheduling::SchedulingConfig scheduling = options.config.config.scheduling;
  const ConfigSource source = options.config_source;
  LoadedConfig config = std::move(options.config);
  const RouterOptions router = options.router;
  const std::string pool_name = options.pool_name;
  pool::ProberOptions prober = std::move(options.prober);
  std::vector<Endpoint> endpoints = std::move(options.endpoints);
  std::unique_ptr<Plane> plane{new Plane{home, std::move(options), metrics}};
  scheduling.libraries = &plane->libraries_;
  LLMD_TRY(scheduling::Scheduler scheduler, scheduling::Scheduler::make(std::move(scheduling)));
  plane->router_ = std::make_unique<Router>(plane->pool_, std::move(scheduler), router, metrics);
  LLMD_TRY(FlowParts flow, flow_parts(config.config, source));
  std::random_device device;
  plane->flow_ = std::make_unique<FlowStrand>(home, plane->pool_, std::move(flow), metrics, device(), pool_name);
  plane->live_config_ = std::make_unique<LiveConfig>(source, std::move(config), *plane->router_, *plane->flow_,
                                                     plane->libraries_, metrics);
  plane->pool_.set_endpoints(std::move(endpoints), SteadyClock::now());
  plane->prober_ = std::make_unique<pool::EndpointProber>(plane->probe_loop_, plane->pool_, metrics, prober);
  return plane;
}

Plane::~Plane() {
  if (own_probe_loop_ == nullptr) return;
  probe_loop_.stop();
  if (probe_thread_.joinable()) probe_thread_.join();
  probe_loop_.discard();  // what still looks refers to the pool
}

void Plane::start() {
  probe_loop_.post([this] { prober_->start(); });
  if (own_probe_loop_ != nullptr) probe_thread_ = std::jthread{[this] { probe_loop_.run(); }};
  home_.spawn(keep_up());
  home_.spawn(flow_->run());
}

void Plane::stop() {
  stopped_ = true;
  flow_->close();
  probe_loop_.post([this] { prober_->stop(); });
}

Task<void> Plane::keep_up() {
  while (!stopped_) {
    co_await sleep_for(kLookInterval);
    if (stopped_) co_return;
    router_->sweep(SteadyClock::now());
    anomaly_report_.tell(pool_.take_anomalies());
    live_config_->look();
    look_at_endpoint_file();
  }
}

void Plane::replace_endpoints(std::vector<Endpoint> endpoints, std::string file) {
  endpoint_file_ = std::move(file);
  endpoint_stamp_ = stamp_of(endpoint_file_);
  pool_.set_endpoints(std::move(endpoints), SteadyClock::now());
}

void Plane::look_at_endpoint_file() {
  if (endpoint_file_.empty()) return;
  const auto now = stamp_of(endpoint_file_);
  if (now == std::exchange(endpoint_stamp_, now)) return;
  auto endpoints = pool::load_endpoint_file(endpoint_file_);
  if (!endpoints) {
    log::warn("endpoints stay as they were: {}", endpoints.error().to_string());
    return;
  }
  log::info("{} has changed: {} endpoints", endpoint_file_, endpoints->size());
  pool_.set_endpoints(*std::move(endpoints), SteadyClock::now());
}

}  // namespace llmd::routing
