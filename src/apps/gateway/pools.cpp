#include "apps/gateway/pools.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apps/gateway/pool_setup.h"
#include "net/address.h"
#include "telemetry/log.h"

namespace llmd::gateway {
namespace {

constexpr milliseconds kLookInterval{1'000};
constexpr milliseconds kPendingPoll{20};
constexpr milliseconds kFirstLookMax{3'000};

LabelSet label_of(const std::string& pool) { return pool.empty() ? LabelSet{} : LabelSet{{"pool", pool}}; }

routing::PlaneOptions plane_options(const Options& options, const PoolSetup& setup, Loop& probe_loop) {
  const bool outliers = options.outlier_detection == "on";
  routing::PlaneOptions made{.config_source = setup.config_source,
                             .config = setup.config,
                             .endpoints = setup.endpoints,
                             .endpoint_file = setup.endpoint_file};
  if (!setup.name.empty()) made.pool_name = setup.name;
  made.pool.outliers.enabled = outliers;
  made.router.measures_slowness = outliers;
  made.router.explained_per_second = options.explained_per_second;
  made.router.rebalance_roles = options.rebalance_roles;
  made.prober = pool::prober_options(setup.config.config.data_layer);
  made.prober.interval = options.probe_interval;
  made.prober.backoff_max = options.probe_backoff_max;
  made.prober.tls = setup.tls;
  made.probe_loop = &probe_loop;
  return made;
}

/// Design principle 8, from the other side: what our workers trust is sent to nobody else.
Result<void> check_own_workers(const PoolSetup& setup) {
  const bool all_own = setup.endpoint_file.empty() && !setup.dns && !setup.kube &&
                       std::ranges::all_of(setup.endpoints, [](const Endpoint& endpoint) {
                         const auto address = net::Address::parse(endpoint.url);
                         return address && address->is_unix();
                       });
  if (all_own) return {};
  return fail(ErrorCode::kConfigInvalid, "tokens are to be sent to endpoints that are no workers of ours",
              "leave the model's file out");
}

Counter& reloads(MetricsRegistry& metrics, const char* outcome) {
  return metrics.counter("llmd_gateway_routes_reloads_total",
                         "Files of routes that were read anew, by what became of it", {{"outcome", outcome}});
}

}  // namespace

ServingPool::ServingPool(std::string pool_name, std::size_t place, MetricsRegistry& all)
    : name{std::move(pool_name)}, number{place}, metrics{all, label_of(name)} {}

ServingPool::~ServingPool() { metrics.forget_refreshers(); }

Pools::Pools(Loop& home, const Options& options, MetricsRegistry& metrics)
    : home_{home}, options_{options}, metrics_{metrics} {}

Result<std::unique_ptr<Pools>> Pools::make(Loop& home, const Options& options, PoolsSetup setup,
                                           MetricsRegistry& metrics) {
  std::unique_ptr<Pools> pools{new Pools{home, options, metrics}};
  pools->routes_file_ = setup.routes_file;
  pools->default_config_ = setup.default_config;
  pools->stamp_ = routing::stamp_of(pools->routes_file_);
  if (!pools->routes_file_.empty()) {
    pools->applied_ = &reloads(metrics, "applied");
    pools->refused_ = &reloads(metrics, "refused");
  }
  LLMD_TRY_VOID(pools->apply(std::move(setup)));
  return pools;
}

Pools::~Pools() {
  probe_loop_.stop();
  if (probe_thread_.joinable()) probe_thread_.join();
  probe_loop_.discard();  // what still looks refers to the pools
}

void Pools::start() {
  started_ = true;
  for (const auto& pool : ever_) start(*pool);
  probe_thread_ = std::jthread{[this] { probe_loop_.run(); }};
  if (!routes_file_.empty()) home_.spawn(keep_up());
}

void Pools::stop() {
  started_ = false;
  for (const auto& pool : ever_) {
    if (pool->kube != nullptr) pool->kube->stop();
    if (pool->dns != nullptr) pool->dns->stop();
    pool->plane->stop();
  }
}

void Pools::close() {
  for (const auto& pool : ever_) pool->plane->close();
}

void Pools::end_tokenizers() {
  for (const auto& pool : ever_) pool->tokenizer.reset();
}

Result<void> Pools::open(PoolSetup setup) {
  auto pool = std::make_unique<ServingPool>(setup.name, ever_.size(), metrics_);
  if (!setup.own_model_path.empty()) LLMD_TRY_VOID(check_own_workers(setup));
  LLMD_TRY(pool->plane, routing::Plane::make(home_, plane_options(options_, setup, probe_loop_), pool->metrics));
  if (!setup.own_model_path.empty()) {
    pool->tokenizer = std::make_unique<PromptTokenizer>(
        TokenizerOptions{.model_path = setup.own_model_path, .chat_template = setup.own_chat_template}, pool->metrics);
  }
  pool->tls = setup.tls;
  pool->setup = std::move(setup);
  add_gauges(*pool);
  LLMD_TRY_VOID(add_sources(*pool));
  if (started_) start(*pool);
  pool->leaving = true;  // until a route leads to it
  ever_.push_back(std::move(pool));
  return {};
}

Result<void> Pools::add_sources(ServingPool& pool) {
  if (pool.setup.kube) {
    LLMD_TRY(pool.kube,
             discovery::KubeSource::make(home_, *pool.setup.kube, pool.plane->pool(), pool.no_rules, pool.metrics));
  }
  if (pool.setup.dns) {
    auto sink = [&of = pool.plane->pool()](std::vector<Endpoint> endpoints) {
      of.set_endpoints(std::move(endpoints), SteadyClock::now());
    };
    pool.dns = std::make_unique<discovery::DnsSource>(home_, *pool.setup.dns, std::move(sink), pool.metrics);
  }
  return {};
}

void Pools::start(ServingPool& pool) {
  pool.plane->start();
  if (pool.kube != nullptr) pool.kube->start();
  if (pool.dns != nullptr) pool.dns->start();
}

void Pools::add_gauges(ServingPool& pool) {
  Gauge& ready = pool.metrics.gauge("llmd_gateway_endpoints_ready", "Endpoints that may be sent requests");
  Gauge& endpoints = pool.metrics.gauge("llmd_gateway_endpoints", "Endpoints of the pool");
  pool.metrics.on_collect([&of = pool.plane->pool(), &ready, &endpoints] {
    const auto view = of.view(SteadyClock::now());
    const auto count =
        std::count_if(view->snapshot.endpoints.begin(), view->snapshot.endpoints.end(), [](const auto& state) {
          return state.health == EndpointHealth::kReady || state.health == EndpointHealth::kProbing;
        });
    ready.set(static_cast<double>(count));
    endpoints.set(static_cast<double>(view->snapshot.endpoints.size()));
  });
}

/// A pool that stays, as the file has it now.
void Pools::change(ServingPool& pool, PoolSetup setup) {
  if (setup.tls_text != pool.setup.tls_text || (setup.tls != nullptr && pool.tls == nullptr))
    log::warn("the tls of pool {} has changed: it counts from the next start", pool.name);
  pool.plane->live_config().replace(setup.config_source, setup.config);
  pool.plane->replace_endpoints(setup.endpoints, setup.endpoint_file);
  pool.setup = std::move(setup);
}

ServingPool* Pools::known(const PoolSetup& pool) const {
  const auto found = std::ranges::find(ever_, pool.name, [](const auto& each) { return each->name; });
  return found == ever_.end() ? nullptr : found->get();
}

Result<void> Pools::apply(PoolsSetup setup) {
  const auto added = std::ranges::count_if(setup.pools, [&](const auto& pool) { return known(pool) == nullptr; });
  if (ever_.size() + static_cast<std::size_t>(added) > kEverMax) {
    return fail(ErrorCode::kConfigInvalid, fmt::format("there were more than {} pools since the start", kEverMax),
                "take names of earlier pools, or start again");
  }
  Pending pending{.setup = std::move(setup), .fresh = {}, .deadline = SteadyClock::now() + kFirstLookMax};
  for (const PoolSetup& pool : pending.setup.pools) {
    if (known(pool) != nullptr) continue;
    LLMD_TRY_VOID(open(pool));
    pending.fresh.push_back(ever_.back().get());
  }
  pending_.reset();  // what waits is older
  if (view_.load() == nullptr || pending.fresh.empty()) {
    swap_in(std::move(pending.setup));
  } else {
    pending_ = std::move(pending);
  }
  return {};
}

/// Nothing fails here: all is checked.
void Pools::swap_in(PoolsSetup setup) {
  auto view = std::make_shared<RouteView>();
  const auto before = view_.load();
  for (PoolSetup& pool : setup.pools) {
    ServingPool* serving = known(pool);
    view->pools.push_back(serving);
    serving->leaving = false;
    if (before != nullptr) change(*serving, std::move(pool));
  }
  view->table = std::move(setup.table);
  view->default_sla_class = std::move(setup.default_sla_class);
  view->named = !setup.routes_file.empty() || view->pools.size() > 1;
  for (const modelroute::Route& route : view->table.routes()) count_requests(route, *view);
  if (before != nullptr) {
    for (ServingPool* pool : before->pools) pool->leaving = std::ranges::find(view->pools, pool) == view->pools.end();
    old_views_.emplace_back(before);
    applied_->add();
    log::info("{} is in force: {} pools, {} routes", routes_file_, view->pools.size(), view->table.routes().size());
  }
  view_.store(std::move(view));
}

/// New pools have had their first look, or long enough.
void Pools::look_at_pending() {
  const TimePoint now = SteadyClock::now();
  const auto serves = [now](ServingPool* pool) { return pool->plane->router().can_serve(now); };
  if (now < pending_->deadline && !std::ranges::all_of(pending_->fresh, serves)) return;
  PoolsSetup setup = std::move(pending_->setup);
  pending_.reset();
  swap_in(std::move(setup));
}

void Pools::count_requests(const modelroute::Route& route, RouteView& view) {
  std::vector<Counter*>& counters = view.requests.emplace_back();
  if (!view.named) return;
  for (const modelroute::Target& target : route.targets) {
    counters.push_back(&metrics_.counter("llmd_gateway_routed_requests_total", "Requests by route and the pool it gave",
                                         {{"route", route.name}, {"pool", view.pools[target.pool]->name}}));
  }
}

void Pools::reload() {
  if (!routes_file_.empty()) {
    stamp_ = routing::stamp_of(routes_file_);
    auto setup = load_routes(options_, default_config_);
    const Result<void> applied = setup ? apply(*std::move(setup)) : std::unexpected(std::move(setup).error());
    if (!applied) {
      refused_->add();
      log::error("the routes stay as they were: {}", applied.error().to_string());
    }
  }
  for (ServingPool* pool : view()->pools) pool->plane->live_config().reload();
}

Task<void> Pools::keep_up() {
  while (started_) {
    co_await sleep_for(pending_ ? kPendingPoll : kLookInterval);
    if (!started_) co_return;
    if (pending_) {
      look_at_pending();
      continue;
    }
    if (const auto now = routing::stamp_of(routes_file_); now != stamp_) reload();
    let_go();
  }
}

/// Requests of earlier routes may still come to a pool that left.
void Pools::let_go() {
  if (pending_) return;
  std::erase_if(old_views_, [](const auto& view) { return view.expired(); });
  for (const auto& pool : ever_) {
    if (!pool->leaving) continue;
    const bool asked = std::ranges::any_of(old_views_, [&pool](const auto& old) {
      const auto view = old.lock();
      return view != nullptr && std::ranges::find(view->pools, pool.get()) != view->pools.end();
    });
    if (asked) continue;
    log::info("pool {} is gone", pool->name);
    pool->plane->replace_endpoints({}, {});
    pool->leaving = false;
  }
}

ServingPool* Pools::find(std::string_view name) const {
  const auto view = this->view();
  const auto found = std::ranges::find(view->pools, name, [](const ServingPool* pool) { return pool->name; });
  return found == view->pools.end() ? nullptr : *found;
}

std::uint64_t Pools::waiting() const {
  std::uint64_t waiting = 0;
  for (const ServingPool* pool : view()->pools) {
    if (pool->plane->flow().enabled()) waiting += pool->plane->flow().waiting();
  }
  return waiting;
}

bool Pools::can_serve(TimePoint now) const {
  const auto view = this->view();
  return std::ranges::any_of(view->pools, [now](ServingPool* pool) { return pool->plane->router().can_serve(now); });
}

}  // namespace llmd::gateway
