#include "apps/sidecar/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apps/sidecar/allow_source.h"
#include "apps/sidecar/call.h"
#include "apps/sidecar/error_answer.h"
#include "exporters/prometheus.h"
#include "telemetry/log.h"
#include "telemetry/log_metrics.h"

namespace llmd::sidecar {
namespace {

constexpr std::size_t kBodyBudgetBytes = std::size_t{1} << 30U;  // of requests being read
constexpr std::size_t kHeaderBytesMax = std::size_t{1} << 20U;
constexpr milliseconds kIdleMax{300'000};
constexpr milliseconds kHeaderTimeout{30'000};
constexpr milliseconds kDrainPoll{10};

unsigned loops_for(unsigned asked) {
  if (asked > 0) return asked;
  return std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
}

net::ServerLimits limits_of(const Options& options) {
  net::ServerLimits limits;
  limits.header_bytes_max = kHeaderBytesMax;
  limits.body_bytes_max = options.body_bytes_max;
  limits.header_timeout = kHeaderTimeout;
  limits.idle_timeout = kIdleMax;
  return limits;
}

net::Response render(const Error& error) { return error_answer(http_status(error.code), error.what); }

}  // namespace

Service::Service(Loop& home, Options options)
    : home_{home},
      options_{std::move(options)},
      own_metrics_{metrics_},
      body_budget_{"request-bodies", kBodyBudgetBytes},
      moriio_{options_.moriio.engines, own_metrics_} {}

Service::~Service() {
  for (const auto& server : servers_) server->close();
  if (page_ != nullptr) page_->close();
  for (const auto& loop : loops_) loop->stop();
  threads_.clear();  // joins
  // Requests that are still suspended refer to contexts: they go first.
  for (const auto& loop : loops_) loop->discard();
  if (allowed_ != nullptr) allowed_->stop();
  home_.discard();
}

Result<std::unique_ptr<Service>> Service::start(Loop& home, Options options) {
  std::unique_ptr<Service> service{new Service{home, std::move(options)}};
  LLMD_TRY_VOID(service->open());
  return service;
}

Result<void> Service::open() {
  log::add_metrics(metrics_);
  LLMD_TRY(allowed_, make_allow_source(home_, options_, metrics_));
  shared_ = std::make_unique<Shared>(
      Shared{.options = options_, .allowed = *allowed_, .moriio = moriio_, .metrics = own_metrics_});
  LLMD_TRY(const Sides sides, Sides::make(options_));
  for (unsigned i = 0; i < loops_for(options_.loops); ++i) {
    loops_.push_back(std::make_unique<Loop>(fmt::format("sidecar-{}", i)));
    contexts_.push_back(std::make_unique<LoopContext>(*loops_.back(), *shared_, sides));
  }
  LLMD_TRY_VOID(open_ports());
  LLMD_TRY_VOID(open_page());
  Gauge& bodies = metrics_.gauge("llmd_budget_used_bytes", "Bytes drawn from a budget", {{"budget", "request-bodies"}});
  metrics_.on_collect([this, &bodies] { bodies.set(static_cast<double>(body_budget_.used_bytes())); });
  if (options_.moriio.write_mode) home_.spawn(moriio_.keep_resolved(home_));
  for (const auto& loop : loops_) threads_.emplace_back([&loop = *loop] { loop.run(); });
  return {};
}

Result<void> Service::open_ports() {
  std::vector<Loop*> serving;
  for (const auto& loop : loops_) serving.push_back(loop.get());
  std::shared_ptr<net::TlsServer> tls;
  if (options_.secure_proxy) {
    LLMD_TRY(tls, net::TlsServer::make({.directory = options_.cert_path}));
    if (!options_.cert_path.empty()) net::TlsServer::watch(tls, home_);
  }
  for (unsigned rank = 0; rank < options_.data_parallel_size; ++rank) {
    net::ServerOptions port;
    port.listen = {.host = options_.host, .port = static_cast<std::uint16_t>(options_.port + rank), .unix_path = {}};
    port.limits = limits_of(options_);
    port.tls = tls;
    port.body_budget = &body_budget_;
    port.render_error = render;
    const auto handler = [this, rank](net::Request request, net::Exchange& exchange) -> Task<void> {
      Call call{context_of(exchange.loop()), std::move(request), exchange, rank};
      co_await call.run();
    };
    LLMD_TRY(std::unique_ptr<net::Server> server, net::Server::listen(serving, std::move(port), handler));
    servers_.push_back(std::move(server));
  }
  return {};
}

Result<void> Service::open_page() {
  if (options_.metrics_port == 0) return {};
  net::ServerOptions page;
  page.listen = {.host = options_.host, .port = options_.metrics_port, .unix_path = {}};
  const auto handler = [this](net::Request request, net::Exchange& exchange) {
    return answer_page(std::move(request), exchange);
  };
  LLMD_TRY(page_, net::Server::listen({&home_}, std::move(page), handler));
  return {};
}

Task<void> Service::answer_page(net::Request request, net::Exchange& exchange) {
  net::Response response;
  if (request.path() == "/metrics" && (request.method == "GET" || request.method == "HEAD")) {
    response.headers.add("Content-Type", std::string{kPrometheusContentType});
    response.body = render_prometheus(metrics_);
  } else {
    response.status = 404;
    response.body = "there is /metrics\n";
  }
  (void)co_await exchange.respond(std::move(response));
}

LoopContext& Service::context_of(const Loop& loop) {
  for (const auto& context : contexts_) {
    if (&context->loop == &loop) return *context;
  }
  return *contexts_.front();
}

Task<void> Service::drain() {
  for (const auto& server : servers_) server->drain();
  const TimePoint deadline = SteadyClock::now() + options_.drain_timeout;
  const auto under_way = [this] {
    std::size_t count = 0;
    for (const auto& server : servers_) count += server->in_flight();
    return count;
  };
  log::info("no more requests are taken; {} are under way", under_way());
  while (under_way() > 0 && SteadyClock::now() < deadline) co_await sleep_for(kDrainPoll);
  if (const std::size_t left = under_way(); left > 0) log::warn("{} requests are cut", left);
  for (const auto& server : servers_) server->close();
}

}  // namespace llmd::sidecar
