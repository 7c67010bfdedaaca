#include "apps/gateway/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "admin/plane_sources.h"
#include "telemetry/log.h"
#include "telemetry/log_metrics.h"

namespace llmd::gateway {
namespace {

constexpr std::size_t kBodyBudgetBytes = std::size_t{1} << 30U;  // bodies being read or served, over all connections
constexpr std::array<double, 14> kSecondsBounds{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};
constexpr milliseconds kDrainPoll{10};
constexpr int kLastShareOfDrain = 4;  // of the drain timeout, for answers to what will not be served any more

unsigned loops_for(unsigned asked) {
  if (asked > 0) return asked;
  return std::clamp(std::thread::hardware_concurrency(), 1U, 8U);
}

routing::PlaneOptions plane_options(const Setup& setup) {
  const Options& options = setup.options;
  const bool outliers = options.outlier_detection == "on";
  routing::PlaneOptions made{.config_source = setup.config_source,
                             .config = setup.config,
                             .endpoints = setup.endpoints,
                             .endpoint_file = setup.endpoint_file};
  made.pool.outliers.enabled = outliers;
  made.router.measures_slowness = outliers;
  made.router.explained_per_second = options.explained_per_second;
  made.router.rebalance_roles = options.rebalance_roles;
  made.prober = pool::prober_options(setup.config.config.data_layer);
  made.prober.interval = options.probe_interval;
  made.prober.backoff_max = options.probe_backoff_max;
  return made;
}

dispatch::DispatchOptions dispatch_options(const Options& options) {
  dispatch::DispatchOptions made{.request_timeout = options.request_timeout, .attempts_max = options.attempts_max};
  made.client.response_timeout = options.request_timeout;
  made.client.read_timeout = options.request_timeout;
  return made;
}

Counter& tokens(MetricsRegistry& metrics, const char* kind) {
  return metrics.counter("llmd_gateway_tokens_total", "Tokens of answered requests, as the endpoints report them",
                         {{"kind", kind}});
}

/// Design principle 8, from the other side: what our workers trust is sent to nobody else.
Result<void> check_own_workers(const Setup& setup) {
  const bool all_own = setup.endpoint_file.empty() && !setup.dns && !setup.kube &&
                       std::ranges::all_of(setup.endpoints, [](const Endpoint& endpoint) {
                         const auto address = net::Address::parse(endpoint.url);
                         return address && address->is_unix();
                       });
  if (all_own) return {};
  return fail(ErrorCode::kConfigInvalid, "tokens are to be sent to endpoints that are no workers of ours",
              "leave the model's file out");
}

}  // namespace

Service::Service(Loop& home, Setup setup)
    : home_{home},
      setup_{std::move(setup)},
      body_budget_{"request-bodies", kBodyBudgetBytes},
      started_at_{SteadyClock::now()},
      in_flight_gauge_{metrics_.gauge("llmd_gateway_requests_in_flight", "Inference requests being served")},
      request_seconds_{metrics_.histogram("llmd_gateway_request_seconds", "Inference requests, from head to last byte",
                                          kSecondsBounds)},
      ttft_seconds_{metrics_.histogram("llmd_gateway_ttft_seconds", "From the decision to the answer's first byte",
                                       kSecondsBounds)},
      prompt_tokens_{tokens(metrics_, "prompt")},
      cached_tokens_{tokens(metrics_, "cached")},
      completion_tokens_{tokens(metrics_, "completion")},
      kv_bytes_{
          metrics_.counter("llmd_kv_transfer_bytes_total",
                           "KV bytes moved for requests of this gateway, as the decode endpoints' answers tell.")},
      recomputed_tokens_{metrics_.counter("llmd_kv_recomputed_tokens_total",
                                          "Prompt tokens that were to come from a prefill endpoint and were computed "
                                          "by the decode endpoint.")} {}

Service::~Service() {
  if (server_ != nullptr) server_->close();
  for (const auto& loop : loops_) loop->stop();
  threads_.clear();                        // joins
  tokenizer_.reset();                      // its jobs post to the loops
  if (plane_ != nullptr) plane_->close();  // what ends from here on lets nothing else go
  // Calls that are still suspended refer to contexts, pool and metrics: they go first.
  for (const auto& loop : loops_) loop->discard();
  home_.discard();
}

Result<std::unique_ptr<Service>> Service::start(Loop& home, Setup setup) {
  std::unique_ptr<Service> service{new Service{home, std::move(setup)}};
  LLMD_TRY_VOID(service->open());
  return service;
}

Result<void> Service::open() {
  LLMD_TRY(plane_, routing::Plane::make(home_, plane_options(setup_), metrics_));
  if (!setup_.own_model_path.empty()) {
    LLMD_TRY_VOID(check_own_workers(setup_));
    tokenizer_ = std::make_unique<PromptTokenizer>(
        TokenizerOptions{.model_path = setup_.own_model_path, .chat_template = setup_.own_chat_template}, metrics_);
  }
  if (!setup_.options.record_path.empty()) {
    LLMD_TRY(
        request_log_,
        RequestLog::open({.path = setup_.options.record_path, .bytes_max = setup_.options.record_bytes_max}, metrics_));
  }
  const auto options = dispatch_options(setup_.options);
  contexts_.push_back(std::make_unique<LoopContext>(home_, plane_->pool(), plane_->router(), metrics_, options));
  std::vector<Loop*> serving{&home_};
  for (unsigned i = 1; i < loops_for(setup_.options.loops); ++i) {
    loops_.push_back(std::make_unique<Loop>(fmt::format("gateway-{}", i)));
    contexts_.push_back(
        std::make_unique<LoopContext>(*loops_.back(), plane_->pool(), plane_->router(), metrics_, options));
    serving.push_back(loops_.back().get());
  }
  LLMD_TRY(net::Address listen, net::Address::parse(setup_.options.listen));
  net::ServerOptions server{.listen = std::move(listen), .limits = {}, .body_budget = &body_budget_};
  server.limits.body_bytes_max = setup_.options.body_bytes_max;
  server.limits.header_timeout = setup_.options.header_timeout;
  server.limits.body_timeout = setup_.options.body_timeout;
  server.limits.write_timeout = setup_.options.write_timeout;
  auto handler = [this](net::Request request, net::Exchange& exchange) { return handle(std::move(request), exchange); };
  LLMD_TRY(server_, net::Server::listen(std::move(serving), std::move(server), handler));
  LLMD_TRY_VOID(open_admin());
  add_gauges();
  plane_->start();
  LLMD_TRY_VOID(follow_endpoints());
  for (const auto& loop : loops_) threads_.emplace_back([&loop = *loop] { loop.run(); });
  return {};
}

Result<void> Service::follow_endpoints() {
  if (setup_.kube) {
    LLMD_TRY(kube_, discovery::KubeSource::make(home_, *setup_.kube, plane_->pool(), no_rules_, metrics_));
    kube_->start();
  }
  if (setup_.dns) {
    auto sink = [this](std::vector<Endpoint> endpoints) {
      plane_->pool().set_endpoints(std::move(endpoints), SteadyClock::now());
    };
    dns_ = std::make_unique<discovery::DnsSource>(home_, *setup_.dns, std::move(sink), metrics_);
    dns_->start();
  }
  return {};
}

Result<void> Service::open_admin() {
  if (setup_.admin.unix_path.empty()) return {};
  admin::AdminSources sources =
      admin::sources_of(*plane_, [this] { return config_json(); }, [this] { return summary_json(); });
  LLMD_TRY(admin_, admin::AdminServer::listen(home_, setup_.admin, std::move(sources)));
  return {};
}

void Service::add_gauges() {
  log::add_metrics(metrics_);
  Gauge& connections = metrics_.gauge("llmd_gateway_connections", "Open connections of clients");
  Gauge& bodies = metrics_.gauge("llmd_budget_used_bytes", "Bytes drawn from a budget", {{"budget", "request-bodies"}});
  Gauge& ready = metrics_.gauge("llmd_gateway_endpoints_ready", "Endpoints that may be sent requests");
  Gauge& endpoints = metrics_.gauge("llmd_gateway_endpoints", "Endpoints of the pool");
  metrics_.on_collect([this, &connections, &bodies, &ready, &endpoints] {
    connections.set(static_cast<double>(server_->connections()));
    bodies.set(static_cast<double>(body_budget_.used_bytes()));
    const auto view = plane_->pool().view(SteadyClock::now());
    const auto count =
        std::count_if(view->snapshot.endpoints.begin(), view->snapshot.endpoints.end(), [](const auto& state) {
          return state.health == EndpointHealth::kReady || state.health == EndpointHealth::kProbing;
        });
    ready.set(static_cast<double>(count));
    endpoints.set(static_cast<double>(view->snapshot.endpoints.size()));
  });
}

Task<void> Service::drain() {
  draining_ = true;
  if (kube_ != nullptr) kube_->stop();
  if (dns_ != nullptr) dns_->stop();
  server_->drain();
  const TimePoint deadline = SteadyClock::now() + setup_.options.drain_timeout;
  // What still waits by then gets an answer instead of a cut connection.
  const TimePoint no_more_turns = deadline - setup_.options.drain_timeout / kLastShareOfDrain;
  while (server_->in_flight() > 0 && SteadyClock::now() < deadline) {
    co_await sleep_for(kDrainPoll);
    if (SteadyClock::now() >= no_more_turns) plane_->close();
  }
  plane_->stop();
  if (const std::size_t left = server_->in_flight(); left > 0)
    log::warn("{} requests are cut by the drain timeout", left);
  server_->close();
  if (admin_ != nullptr) admin_->close();
}

LoopContext& Service::context_of(Loop& loop) {
  for (const auto& context : contexts_) {
    if (&context->loop == &loop) return *context;
  }
  return *contexts_.front();
}

void Service::count(LoopContext& context, const Route& route, int status) {
  Counter*& counter = context.answers[{&route, status}];
  if (counter == nullptr) {
    counter = &metrics_.counter("llmd_gateway_requests_total", "Answered requests",
                                {{"route", std::string{route.label}}, {"status", std::to_string(status)}});
  }
  counter->add();
}

}  // namespace llmd::gateway
