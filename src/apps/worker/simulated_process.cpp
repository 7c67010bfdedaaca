#include "apps/worker/simulated_process.h"

#include <algorithm>
#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/worker/kv_options.h"
#include "apps/worker/loaded_model.h"
#include "apps/worker/server_options.h"
#include "apps/worker/service.h"
#include "apps/worker/simulated_exchange.h"
#include "kvevents/publisher.h"
#include "net/server.h"
#include "runtime/loop.h"
#include "runtime/offload.h"
#include "runtime/signals.h"
#include "runtime/stall_detector.h"
#include "telemetry/log.h"
#include "telemetry/log_metrics.h"
#include "telemetry/metrics.h"

namespace llmd::worker {
namespace {

constexpr milliseconds kDrainPoll{20};
constexpr seconds kLeaseGrace{3};   // for decode workers to fetch what was computed for them
constexpr seconds kCancelGrace{2};  // for requests that were cut off at the drain's deadline to send their error

/// One port with its engine.
struct Endpoint {
  Endpoint(Loop& loop, const Options& options, Offload& offload) : service{loop, options, registry, offload} {}

  MetricsRegistry registry;
  Service service;
  std::unique_ptr<net::Server> server;
};

class SimulatedProcess {
 public:
  SimulatedProcess(Options options, SimulatedSetup setup, KvSetup kv_setup)
      : options_{std::move(options)}, setup_{std::move(setup)}, kv_setup_{std::move(kv_setup)} {}
  ~SimulatedProcess() { loop_.discard(); }  // what is suspended refers to the endpoints
  SimulatedProcess(const SimulatedProcess&) = delete;
  SimulatedProcess& operator=(const SimulatedProcess&) = delete;

  [[nodiscard]] int run();

 private:
  [[nodiscard]] Result<void> listen();
  [[nodiscard]] Result<void> start(Endpoint& endpoint, std::uint32_t index);
  [[nodiscard]] Result<std::shared_ptr<KvEventSink>> event_sink(Endpoint& endpoint, std::uint32_t index);
  void on_signal(int signal);
  [[nodiscard]] Task<void> drain();
  [[nodiscard]] Task<void> wait_for_answers(TimePoint deadline);
  [[nodiscard]] Task<void> wait_for_leases(TimePoint deadline);
  [[nodiscard]] std::size_t in_flight() const;
  [[nodiscard]] std::size_t leases() const;

  const Options options_;
  const SimulatedSetup setup_;
  const KvSetup kv_setup_;
  Loop loop_{"worker"};
  std::unique_ptr<Offload> offload_ = Service::make_offload();
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::unique_ptr<kvevents::Publisher> events_;  // null: nobody is to hear of blocks. Ends before the registries
  bool draining_ = false;
  int exit_code_ = 0;
};

Result<void> SimulatedProcess::listen() {
  LLMD_TRY(net::ServerOptions server, server_options(options_));
  if (options_.kv_events.enabled) events_ = std::make_unique<kvevents::Publisher>(options_.sim_endpoints);
  for (std::uint32_t i = 0; i < options_.sim_endpoints; ++i) {
    endpoints_.push_back(std::make_unique<Endpoint>(loop_, options_, *offload_));
    Endpoint& endpoint = *endpoints_.back();
    auto handler = [&endpoint](net::Request request, net::Exchange& exchange) {
      return endpoint.service.handle(std::move(request), exchange);
    };
    LLMD_TRY(endpoint.server, net::Server::listen({&loop_}, server, std::move(handler)));
    log::info("listening on {}, simulated", endpoint.server->address().to_string());
    LLMD_TRY_VOID(start(endpoint, i));
    if (server.listen.port != 0) ++server.listen.port;
  }
  if (events_) events_->start();
  log::info("ready: model {}, {} endpoints as profile {} says", options_.served_names.front(), endpoints_.size(),
            setup_.profile.name);
  return {};
}

/// Once its address is known, which topics may hold.
Result<void> SimulatedProcess::start(Endpoint& endpoint, std::uint32_t index) {
  std::shared_ptr<KvEventSink> sink;
  if (events_) {
    LLMD_TRY(sink, event_sink(endpoint, index));
  }
  Service& service = endpoint.service;
  service.set_model(make_simulated_model(loop_, options_, setup_, std::move(sink)));
  service.set_loaded_percent(100);
  LLMD_TRY(auto exchange,
           make_simulated_exchange(loop_, kv_setup_.of_endpoint(index), *service.model().simulated, endpoint.registry));
  service.set_kv(std::move(exchange));
  return {};
}

Result<std::shared_ptr<KvEventSink>> SimulatedProcess::event_sink(Endpoint& endpoint, std::uint32_t index) {
  kvevents::PublisherOptions options = options_.kv_events;
  options.topic =
      kvevents::topic_of(options.topic, endpoint.server->address().to_string(), options_.served_names.front());
  LLMD_TRY(options.endpoint, kvevents::place_of(options.endpoint, index));
  if (!options.replay_endpoint.empty()) {
    LLMD_TRY(options.replay_endpoint, kvevents::place_of(options.replay_endpoint, index));
  }
  return events_->add(options, endpoint.registry);
}

void SimulatedProcess::on_signal(int signal) {
  if (std::exchange(draining_, true)) {
    log::info("signal {}: stopping at once", signal);
    for (const auto& endpoint : endpoints_) endpoint->server->close();
    exit_code_ = 1;
    loop_.stop();
    return;
  }
  log::info("signal {}: draining for at most {} ms", signal, options_.drain_timeout.count());
  loop_.spawn(drain());
}

std::size_t SimulatedProcess::in_flight() const {
  std::size_t requests = 0;
  for (const auto& endpoint : endpoints_) requests += endpoint->server->in_flight();
  return requests;
}

std::size_t SimulatedProcess::leases() const {
  std::size_t leases = 0;
  for (const auto& endpoint : endpoints_) leases += endpoint->service.kv()->leases();
  return leases;
}

Task<void> SimulatedProcess::wait_for_leases(TimePoint deadline) {
  while (leases() > 0 && SteadyClock::now() < deadline) co_await sleep_for(kDrainPoll);
}

Task<void> SimulatedProcess::wait_for_answers(TimePoint deadline) {
  while (in_flight() > 0 && SteadyClock::now() < deadline) co_await sleep_for(kDrainPoll);
}

Task<void> SimulatedProcess::drain() {
  for (const auto& endpoint : endpoints_) {
    endpoint->service.set_draining();
    endpoint->server->drain();
  }
  const TimePoint deadline = SteadyClock::now() + options_.drain_timeout;
  co_await wait_for_answers(deadline);
  const TimePoint lease_deadline = std::min<TimePoint>(deadline, SteadyClock::now() + kLeaseGrace);
  co_await wait_for_leases(lease_deadline);
  if (const std::size_t left = in_flight(); left > 0)
    log::warn("{} requests did not end in time and are cut off", left);
  for (const auto& endpoint : endpoints_) endpoint->service.model().engine->shut_down(milliseconds{0});
  co_await wait_for_answers(SteadyClock::now() + kCancelGrace);
  for (const auto& endpoint : endpoints_) endpoint->server->close();
  loop_.stop();
}

int SimulatedProcess::run() {
  const SignalWatch signals{loop_, {SIGINT, SIGTERM}, [this](int signal) { on_signal(signal); }};
  const Result<void> listening = listen();
  if (!listening) {
    log::error("cannot listen on {} with {} endpoints: {}", options_.listen, options_.sim_endpoints,
               listening.error().to_string());
    return 1;
  }
  MetricsRegistry& first = endpoints_.front()->registry;  // what is of the process stands on one page
  const StallDetector stalls{first, {}};
  log::add_metrics(first);
  loop_.run();
  return exit_code_;
}

}  // namespace

int run_simulated(Options options) {
  auto setup = make_simulated_setup(options);
  if (!setup) {
    log::error("--profile: {}", setup.error().to_string());
    return 1;
  }
  auto kv_setup = make_kv_setup(options);  // before there are threads
  if (!kv_setup) {
    log::error("{}", kv_setup.error().to_string());
    return 1;
  }
  SimulatedProcess process{std::move(options), *std::move(setup), *std::move(kv_setup)};
  return process.run();
}

}  // namespace llmd::worker
