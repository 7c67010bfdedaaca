#include "apps/epp/service.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <random>
#include <utility>

#include "admin/plane_sources.h"
#include "api/openai/json_writer.h"
#include "apps/epp/stream.h"
#include "exporters/prometheus.h"
#include "profiling/cpu_profile.h"
#include "rpc/health.h"
#include "telemetry/log.h"
#include "telemetry/log_metrics.h"

namespace llmd::epp {
namespace {

constexpr std::size_t kBodyBudgetBytes = std::size_t{1} << 30U;  // of requests between their first byte and their pick
constexpr std::size_t kMessageBudgetBytes = std::size_t{256} << 20U;  // that came and are not looked at yet
constexpr std::string_view kService = "envoy.service.ext_proc.v3.ExternalProcessor";
constexpr milliseconds kLastCalls{5'000};  // after the drain timeout, for streams that are open
constexpr milliseconds kDrainPoll{10};
constexpr milliseconds kReadinessPoll{20};
constexpr seconds kLastLease{2};  // for the server to take that it is released
constexpr seconds kLastSpans{2};  // for the collector to take what is left

unsigned loops_for(unsigned asked) {
  if (asked > 0) return asked;
  return std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
}

/// "epp": as llm-d names a pool that is none of Kubernetes'.
std::string pool_name(const Setup& setup) {
  if (setup.kube) return setup.kube->name;
  return setup.options.pool_name.empty() ? "epp" : setup.options.pool_name;
}

routing::PlaneOptions plane_options(const Setup& setup) {
  routing::PlaneOptions made{.config_source = setup.config_source,
                             .config = setup.config,
                             .endpoints = setup.endpoints,
                             .endpoint_file = setup.endpoint_file,
                             .pool_name = pool_name(setup)};
  made.prober = pool::prober_options(setup.config.config.data_layer);
  if (auto& metrics = made.prober.metrics; metrics && metrics->interval == milliseconds{0})
    metrics->interval = setup.options.scrape_interval;
  return made;
}

eppmetrics::EppMetricsOptions metrics_options(const Setup& setup) {
  scheduling::SchedulingConfig scheduling = setup.config.config.scheduling;
  scheduling::apply_defaults(scheduling);
  eppmetrics::EppMetricsOptions made{.pool_name = pool_name(setup),
                                     .metrics_age_max = setup.options.staleness_threshold};
  made.features.flow_control = setup.config.config.flow.enabled;
  eppmetrics::add_plugin_features(scheduling, made.features);
  return made;
}

/// Of ?seconds=N; Go's default is 30.
seconds profile_seconds(std::string_view query) {
  constexpr std::string_view kName = "seconds=";
  const std::size_t at = query.find(kName);
  int wanted = 30;
  if (at != std::string_view::npos) {
    const std::string_view text = query.substr(at + kName.size());
    std::from_chars(text.data(), text.data() + text.size(), wanted);
  }
  return seconds{wanted};
}

net::Address bound_to(const Options& options, std::uint16_t port) {
  return {.host = options.host, .port = port, .unix_path = {}};
}

}  // namespace

Service::Service(Loop& home, Setup setup)
    : home_{home},
      setup_{std::move(setup)},
      stream_options_{.uses_subset = !setup_.options.disable_subset_filter,
                      .tells_scores = setup_.options.emit_scores,
                      .body_bytes_max = setup_.options.body_bytes_max},
      body_budget_{"request-bodies", kBodyBudgetBytes},
      message_budget_{"rpc-messages", kMessageBudgetBytes},
      started_at_{SteadyClock::now()} {}

Service::~Service() {
  if (server_ != nullptr) server_->close();
  if (health_server_ != nullptr) health_server_->close();
  if (pages_ != nullptr) pages_->close();
  for (const auto& loop : loops_) loop->stop();
  threads_.clear();  // joins
  if (plane_ != nullptr) plane_->close();
  // Streams that are still suspended refer to contexts and plane: they go first.
  for (const auto& loop : loops_) loop->discard();
  home_.discard();
}

Result<std::unique_ptr<Service>> Service::start(Loop& home, Setup setup) {
  std::unique_ptr<Service> service{new Service{home, std::move(setup)}};
  LLMD_TRY_VOID(service->open());
  return service;
}

Result<void> Service::open() {
  log::add_metrics(metrics_);
  epp_metrics_ = std::make_unique<eppmetrics::EppMetrics>(metrics_, metrics_options(setup_));
  routing::PlaneOptions plane = plane_options(setup_);
  plane.router.epp_metrics = epp_metrics_.get();
  LLMD_TRY(plane_, routing::Plane::make(home_, std::move(plane), metrics_));
  LLMD_TRY_VOID(open_tracing());
  LLMD_TRY_VOID(open_streams());
  LLMD_TRY_VOID(open_pages());
  LLMD_TRY_VOID(open_admin());
  Gauge& bodies = metrics_.gauge("llmd_budget_used_bytes", "Bytes drawn from a budget", {{"budget", "request-bodies"}});
  Gauge& messages = metrics_.gauge("llmd_budget_used_bytes", "Bytes drawn from a budget", {{"budget", "rpc-messages"}});
  Gauge& endpoints = metrics_.gauge("llmd_epp_endpoints", "Endpoints that may be picked from, in any state");
  Gauge& ready = metrics_.gauge("llmd_epp_endpoints_ready", "Endpoints that may be sent requests");
  metrics_.on_collect([this, &bodies, &messages, &endpoints, &ready] {
    const auto view = plane_->pool().view(SteadyClock::now());
    const auto serving = std::ranges::count_if(view->snapshot.endpoints, [](const EndpointState& state) {
      return state.health == EndpointHealth::kReady || state.health == EndpointHealth::kProbing;
    });
    endpoints.set(static_cast<double>(view->snapshot.endpoints.size()));
    ready.set(static_cast<double>(serving));
    bodies.set(static_cast<double>(body_budget_.used_bytes()));
    messages.set(static_cast<double>(message_budget_.used_bytes()));
  });
  plane_->start();
  LLMD_TRY_VOID(follow_kubernetes());
  home_.spawn(refresh_metrics());
  for (const auto& loop : loops_) threads_.emplace_back([&loop = *loop] { loop.run(); });
  return {};
}

Result<void> Service::follow_kubernetes() {
  plans_ = std::make_unique<CurrentPlan>(plane_->live_config());
  if (!setup_.kube) return {};
  LLMD_TRY(kube_, discovery::KubeSource::make(home_, *setup_.kube, plane_->pool(), rules_, metrics_));
  // Models that objects name are not crowded out of labels by those that clients make up.
  kube_->feed().on_rules([this](const discovery::RequestRules& rules) {
    rules.rewrites.visit_models([this](std::string_view model) { epp_metrics_->pin_model(model); });
  });
  if (setup_.options.metrics_auth) review_ = std::make_unique<kube::AccessReview>(kube_->client());
  if (setup_.options.leader_election) stand_for_election();
  kube_->start();
  return {};
}

/// As llm-d names lease and replica (llm-d-router: pkg/epp/server/controller_manager.go, and controller-runtime).
void Service::stand_for_election() {
  std::random_device device;
  char host[256] = "epp";
  (void)::gethostname(host, sizeof host - 1);
  kube::LeaderElectorOptions options{
      .ns = setup_.kube->name_space,
      .lease = fmt::format("epp-{}-{}.llm-d.ai", setup_.kube->name_space, setup_.kube->name),
      .identity = fmt::format("{}_{:08x}-{:08x}", host, device(), device())};
  election_ = std::make_unique<kube::LeaderElector>(kube_->client(), std::move(options), device());
  home_.spawn(elect());
}

Task<void> Service::elect() {
  co_await election_->run();
  election_over_.set();
}

Task<void> Service::refresh_metrics() {
  while (!draining_) {
    const TimePoint now = SteadyClock::now();
    epp_metrics_->refresh(plane_->pool().view(now)->snapshot, now, plane_->router().prefix_stats().entries);
    co_await sleep_for(setup_.options.refresh_interval);
  }
}

Result<void> Service::open_tracing() {
  if (!setup_.options.tracing) return {};
  std::vector<std::string> warnings;
  LLMD_TRY(tracing::TracingOptions options,
           tracing::tracing_options(
               [](const char* name) {
                 const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets it
                 return value == nullptr ? std::nullopt : std::optional<std::string>{value};
               },
               "llm-d-epp", warnings));
  for (const std::string& warning : warnings) log::warn("{}", warning);
  if (options.exporter == tracing::Exporter::kNone) return {};
  tracer_ = std::make_unique<tracing::Tracer>(home_, std::move(options), metrics_);
  home_.spawn(tracer_->run());
  return {};
}

Result<void> Service::open_streams() {
  std::vector<Loop*> serving;
  for (unsigned i = 0; i < loops_for(setup_.options.loops); ++i) {
    loops_.push_back(std::make_unique<Loop>(fmt::format("epp-{}", i)));
    contexts_.push_back(std::make_unique<StreamContext>(*loops_.back(), *plane_, stream_options_, body_budget_,
                                                        own_metrics_, *epp_metrics_, rules_, tracer_.get()));
    serving.push_back(loops_.back().get());
  }
  const rpc::HealthService health{.services = {"", "liveness", "readiness", std::string{kService}},
                                  .is_serving = [this](std::string_view service) { return is_serving(service); }};
  rpc::ServerOptions streams;
  streams.h2.listen = bound_to(setup_.options, setup_.options.grpc_port);
  if (setup_.options.secure_serving) {
    LLMD_TRY(tls_, net::TlsServer::make({.directory = setup_.options.cert_path,
                                         .min_version = setup_.options.tls_min_version,
                                         .cipher_suites = setup_.options.tls_ciphers}));
    if (setup_.options.cert_reload && !setup_.options.cert_path.empty()) net::TlsServer::watch(tls_, home_);
    streams.h2.tls = tls_;
  }
  streams.messages.message_bytes_max = setup_.options.message_bytes_max;
  streams.messages.budget = &message_budget_;
  std::map<std::string, rpc::Method, std::less<>> methods;
  if (setup_.options.health_on_grpc_port) {
    // On the streams' loops, which may not look at what the home loop owns.
    rpc::HealthService seen = health;
    seen.is_serving = [this](std::string_view service) { return service == "liveness" || (seen_ready_ && !draining_); };
    methods = seen.methods();
    home_.spawn(watch_readiness());
  }
  methods.emplace(fmt::format("/{}/Process", kService), [this](rpc::ServerCall& call) { return process(call); });
  LLMD_TRY(server_, rpc::Server::listen(std::move(serving), std::move(streams), std::move(methods)));
  rpc::ServerOptions checks;
  checks.h2.listen = bound_to(setup_.options, setup_.options.health_port);
  LLMD_TRY(health_server_, rpc::Server::listen({&home_}, std::move(checks), health.methods()));
  return {};
}

Result<void> Service::open_pages() {
  net::ServerOptions pages{.listen = bound_to(setup_.options, setup_.options.metrics_port), .limits = {}};
  if (const std::string& directory = setup_.options.metrics_cert_dir; !directory.empty()) {
    LLMD_TRY(metrics_tls_,
             net::TlsServer::make({.directory = directory, .client_ca_file = setup_.options.metrics_client_ca_file}));
    net::TlsServer::watch(metrics_tls_, home_);
    pages.tls = metrics_tls_;
  }
  auto handler = [this](net::Request request, net::Exchange& exchange) {
    return answer_page(std::move(request), exchange);
  };
  LLMD_TRY(pages_, net::Server::listen({&home_}, std::move(pages), handler));
  return {};
}

Result<void> Service::open_admin() {
  if (setup_.admin.unix_path.empty()) return {};
  admin::AdminSources sources =
      admin::sources_of(*plane_, [this] { return config_json(); }, [this] { return summary_json(); });
  LLMD_TRY(admin_, admin::AdminServer::listen(home_, setup_.admin, std::move(sources)));
  return {};
}

Task<rpc::Status> Service::process(rpc::ServerCall& call) {
  Stream stream{context_of(call.loop()), call};
  co_return co_await stream.run();
}

Task<void> Service::watch_readiness() {
  while (!draining_) {
    seen_ready_ = ready();
    co_await sleep_for(kReadinessPoll);
  }
}

bool Service::is_serving(std::string_view service) { return service == "liveness" || ready(); }

bool Service::ready() {
  if (draining_) return false;
  if (kube_ == nullptr) return true;
  if (election_ != nullptr && !election_->leads()) return false;
  return kube_->feed().synced() && plans_->get()->supports(kube_->feed().app_protocol());
}

Task<bool> Service::may_read(const net::Request& request, net::Response& refusal) {
  if (review_ == nullptr) co_return true;
  using Verdict = kube::AccessReview::Verdict;
  std::string authorization{request.headers.get("authorization").value_or("")};
  auto verdict = co_await review_->may_get(std::move(authorization), std::string{request.path()});
  if (verdict && *verdict == Verdict::kAllowed) co_return true;
  if (!verdict) {
    log::warn("who may read {} is not known: {}", request.path(), verdict.error().to_string());
    refusal.status = 503;
    refusal.body = "Kubernetes does not say who may read this\n";
  } else if (*verdict == Verdict::kForbidden) {
    refusal.status = 403;
    refusal.body = "this account may not get this path\n";
  } else {
    refusal.status = 401;
    refusal.headers.add("WWW-Authenticate", "Bearer");
    refusal.body = "send a bearer token of an account that may get this path\n";
  }
  co_return false;
}

Task<void> Service::answer_page(net::Request request, net::Exchange& exchange) {
  net::Response response;
  const std::string path{request.path()};
  const bool is_open = path == "/healthz" || path == "/readyz";
  bool allowed = is_open;
  if (!is_open) allowed = co_await may_read(request, response);
  if (!allowed) {
    (void)co_await exchange.respond(std::move(response));
    co_return;
  }
  if (request.method != "GET" && request.method != "HEAD") {
    response.status = 405;
    response.headers.add("Allow", "GET");
  } else if (path == "/metrics") {
    response.headers.add("Content-Type", std::string{kPrometheusContentType});
    response.body = render_prometheus(metrics_);
  } else if (path == "/debug/plugins/state") {
    const auto at = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
    response.headers.add("Content-Type", "application/json");
    response.body =
        plane_->router().plugin_states(SteadyClock::now(), at, plane_->live_config().config()->scheduling.others);
  } else if (path == "/debug/pprof/profile" && setup_.options.pprof) {
    auto profile = co_await cpu_profile(home_, profile_seconds(request.query()));
    if (profile) {
      response.headers.add("Content-Type", "application/octet-stream");
      response.body = *std::move(profile);
    } else {
      response.status = http_status(profile.error().code);
      response.body = profile.error().to_string() + "\n";
    }
  } else if (path == "/healthz" || path == "/readyz") {
    const bool ok = path == "/healthz" || ready();
    response.status = ok ? 200 : 503;
    response.body = ok ? "ok\n" : draining_ ? "draining\n" : "the pool is not known\n";
  } else {
    response.status = 404;
    response.body = "there are /metrics, /healthz, /readyz, /debug/plugins/state and /debug/pprof/profile\n";
  }
  (void)co_await exchange.respond(std::move(response));
}

std::string Service::config_json() {
  std::string json;
  openai::JsonWriter writer{json};
  const config::ConfigVersion version = plane_->live_config().versions().current();
  writer.begin_object();
  writer.key("listen").string(address().to_string());
  writer.key("endpoints")
      .string(setup_.kube ? fmt::format("kubernetes:{}/{}", setup_.kube->name_space, setup_.kube->name)
                          : plane_->endpoint_file());
  writer.key("config_path").string(setup_.config_source.path);
  writer.key("config").string(version.text);
  writer.key("config_version").integer(static_cast<std::int64_t>(version.number));
  writer.end_object();
  return json;
}

std::string Service::summary_json() {
  std::string json;
  openai::JsonWriter writer{json};
  writer.begin_object();
  writer.key("listen").string(address().to_string());
  writer.key("uptime_ms").integer(std::chrono::duration_cast<milliseconds>(SteadyClock::now() - started_at_).count());
  writer.key("requests_in_flight").integer(static_cast<std::int64_t>(own_metrics_.streams.value()));
  writer.key("requests").integer(static_cast<std::int64_t>(own_metrics_.picked.value() + own_metrics_.refused.value()));
  writer.key("draining").boolean(draining_);
  writer.end_object();
  return json;
}

StreamContext& Service::context_of(const Loop& loop) {
  for (const auto& context : contexts_) {
    if (&context->loop == &loop) return *context;
  }
  return *contexts_.front();
}

Task<void> Service::drain() {
  draining_ = true;
  if (election_ != nullptr) {
    election_->stop();
    (void)co_await election_over_.wait_until(SteadyClock::now() + kLastLease);
  }
  log::info("not ready any more; streams are served for {} ms", setup_.options.drain_timeout.count());
  co_await sleep_for(setup_.options.drain_timeout);
  server_->drain();
  const TimePoint deadline = SteadyClock::now() + kLastCalls;
  while (server_->calls() > 0 && SteadyClock::now() < deadline) co_await sleep_for(kDrainPoll);
  if (const std::size_t left = server_->calls(); left > 0) log::warn("{} streams are cut", left);
  if (kube_ != nullptr) kube_->stop();
  plane_->stop();
  server_->close();
  health_server_->close();
  pages_->close();
  if (admin_ != nullptr) admin_->close();
  if (tracer_ != nullptr) co_await tracer_->finish(kLastSpans);
}

}  // namespace llmd::epp
