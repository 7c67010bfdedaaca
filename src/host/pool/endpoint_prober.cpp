#include "pool/endpoint_prober.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "api/openai/model_list_reader.h"
#include "base/rng.h"
#include "net/client.h"
#include "telemetry/log.h"

namespace llmd::pool {
namespace {

constexpr std::size_t kModelListBytesMax = 1024 * 1024;
constexpr std::size_t kReadyBytesMax = 64 * 1024;
constexpr Duration kSecondLook = milliseconds{50};

/// Whether the connection ended: the endpoint was ready a moment ago, but may be gone now.
bool note_end(const Error& error, Probe& found) {
  found.error = error.to_string();
  return error.code == ErrorCode::kConnectionRefused || error.code == ErrorCode::kConnectionClosed;
}

/// One endpoint under observation.
struct Watch {
  explicit Watch(Loop& loop, std::shared_ptr<const Endpoint> at) : endpoint{std::move(at)}, pause{loop.executor()} {}
  std::shared_ptr<const Endpoint> endpoint;
  net::CancelToken cancel;
  Timer pause;
  bool stopped = false;
  bool hurried = false;     // its last pause was cut short
  bool refused = false;     // the last time
  bool cut = false;         // a page of the look under way did not come to its end
  bool has_metrics = true;  // until it answers 404
  const char* ready_path = "/ready";
  TimePoint models_due{};
  std::uint32_t failures = 0;  // in a row
};

}  // namespace

struct EndpointProber::State : std::enable_shared_from_this<State> {
  State(Loop& on, Pool& of, MetricsRegistry& metrics, ProberOptions with)
      : loop{on},
        pool{of},
        options{with},
        client{on,
               {.connect_timeout = with.timeout,
                .response_timeout = with.timeout,
                .read_timeout = with.timeout,
                .idle_connections_max = 2}},
        probes{metrics.counter("llmd_pool_probes_total", "Looks at endpoints: readiness, metrics, models")},
        failures{metrics.counter("llmd_pool_probe_failures_total", "Looks at endpoints that found something wrong")} {}

  void reconcile();
  void stop_watch(Watch& watch);
  Task<void> run(std::shared_ptr<Watch> watch);
  Task<Probe> probe(Watch& watch);
  Task<void> ask_readiness(Watch& watch, const net::Address& address, Probe& probe);
  Task<void> ask_metrics(Watch& watch, const net::Address& address, Probe& probe);
  Task<void> ask_models(Watch& watch, const net::Address& address, Probe& probe);
  Duration pause_after(const Watch& watch);
  void hurry(const net::Address& address);

  Loop& loop;
  Pool& pool;
  const ProberOptions options;
  net::Client client;
  Counter& probes;
  Counter& failures;
  Rng rng{0x70726f6265};  // jitter only
  bool running = false;
  std::map<std::string, std::shared_ptr<Watch>> watches;
  std::multimap<net::Address, std::weak_ptr<Watch>> by_address;
};

EndpointProber::EndpointProber(Loop& loop, Pool& pool, MetricsRegistry& metrics, ProberOptions options)
    : state_{std::make_shared<State>(loop, pool, metrics, options)} {}

EndpointProber::~EndpointProber() { state_->pool.on_change(nullptr); }

void EndpointProber::start() {
  state_->running = true;
  state_->client.on_idle_end([state = state_.get()](const net::Address& address) { state->hurry(address); });
  state_->pool.on_change([weak = std::weak_ptr{state_}, &loop = state_->loop] {
    loop.post([weak] {
      if (const auto state = weak.lock()) state->reconcile();
    });
  });
  state_->reconcile();
}

void EndpointProber::stop() {
  state_->running = false;
  state_->reconcile();
}

void EndpointProber::State::stop_watch(Watch& watch) {
  watch.stopped = true;
  watch.cancel.cancel();
  watch.pause.cancel();
}

void EndpointProber::State::reconcile() {
  std::map<std::string, std::shared_ptr<Watch>> kept;
  for (auto& endpoint : running ? pool.endpoints() : std::vector<std::shared_ptr<const Endpoint>>{}) {
    const auto found = watches.find(endpoint->name);
    if (found != watches.end() && found->second->endpoint->url == endpoint->url) {
      kept.insert(watches.extract(found));
      continue;
    }
    auto watch = std::make_shared<Watch>(loop, endpoint);
    kept.emplace(endpoint->name, watch);
    loop.spawn([](std::shared_ptr<State> self, std::shared_ptr<Watch> mine) -> Task<void> {
      co_await self->run(std::move(mine));
    }(shared_from_this(), std::move(watch)));
  }
  for (auto& [name, watch] : watches) stop_watch(*watch);
  watches = std::move(kept);
  by_address.clear();
  for (const auto& [name, watch] : watches) {
    if (auto address = net::Address::parse(watch->endpoint->url)) by_address.emplace(*std::move(address), watch);
  }
}

/// The connection that waited for the next probe has ended: the process may be gone, so the next look is now. Only
/// every second pause is cut, for servers that close every connection.
void EndpointProber::State::hurry(const net::Address& address) {
  const auto [first, last] = by_address.equal_range(address);
  for (auto at = first; at != last; ++at) {
    const auto watch = at->second.lock();
    if (watch && !std::exchange(watch->hurried, true)) watch->pause.cancel();
  }
}

Duration EndpointProber::State::pause_after(const Watch& watch) {
  if (watch.refused && watch.failures == 1) return std::min<Duration>(kSecondLook, options.interval);
  Duration pause = options.interval;
  for (std::uint32_t i = 2; i < watch.failures && pause < options.backoff_max; ++i) pause *= 2;
  pause = std::min<Duration>(pause, std::max(options.backoff_max, options.interval));
  return std::chrono::duration_cast<Duration>(pause * (0.9 + 0.2 * rng.uniform()));
}

Task<void> EndpointProber::State::run(std::shared_ptr<Watch> watch) {
  while (!watch->stopped) {
    Probe found = co_await probe(*watch);
    if (watch->stopped) co_return;
    probes.add();
    watch->refused = found.readiness == Probe::Readiness::kRefused;
    const bool away = watch->refused || found.readiness == Probe::Readiness::kSilent;
    watch->failures = away ? watch->failures + 1 : 0;
    if (!found.error.empty()) {
      failures.add();
      log::debug("endpoint {}: {}", watch->endpoint->name, found.error);
    }
    pool.on_probe(watch->endpoint->name, std::move(found), SteadyClock::now());
    watch->pause.expires_after(pause_after(*watch));
    boost::system::error_code woken;
    co_await watch->pause.async_wait(asio::redirect_error(use_task, woken));
    if (!woken) watch->hurried = false;
  }
}

Task<Probe> EndpointProber::State::probe(Watch& watch) {
  Probe found;
  const auto address = net::Address::parse(watch.endpoint->url);
  if (!address) {
    found.readiness = Probe::Readiness::kRefused;
    found.error = address.error().to_string();
    co_return found;
  }
  co_await ask_readiness(watch, *address, found);
  const bool answers = found.readiness == Probe::Readiness::kReady;
  watch.cut = false;
  if (answers && watch.has_metrics) co_await ask_metrics(watch, *address, found);
  if (answers && SteadyClock::now() >= watch.models_due) co_await ask_models(watch, *address, found);
  if (watch.cut) {  // a page alone may be broken, whose server goes on
    std::string error = std::move(found.error);
    co_await ask_readiness(watch, *address, found);
    if (found.readiness == Probe::Readiness::kReady) found.error = std::move(error);
  }
  co_return found;
}

Task<void> EndpointProber::State::ask_readiness(Watch& watch, const net::Address& address, Probe& found) {
  const TimePoint asked = SteadyClock::now();
  auto response = co_await client.send(address, {.method = "GET", .target = watch.ready_path}, &watch.cancel);
  if (!response) {
    const bool silent = response.error().code == ErrorCode::kDeadlineExceeded;
    found.readiness = silent ? Probe::Readiness::kSilent : Probe::Readiness::kRefused;
    found.error = response.error().to_string();
    co_return;
  }
  const int status = (*response)->status();
  (void)co_await (*response)->read_all(kReadyBytesMax);
  found.round_trip = SteadyClock::now() - asked;
  if (status == 404 && watch.ready_path == std::string_view{"/ready"}) {
    watch.ready_path = "/health";
    co_await ask_readiness(watch, address, found);
    co_return;
  }
  // A server without either path is judged by its answering at all.
  const bool ready = (status >= 200 && status < 300) || status == 404;
  found.readiness = ready ? Probe::Readiness::kReady : Probe::Readiness::kNotReady;
  if (!ready) {
    found.error = fmt::format("GET {} answers {}", watch.ready_path, status);
    watch.models_due = {};  // it may come back with another model
  }
}

Task<void> EndpointProber::State::ask_metrics(Watch& watch, const net::Address& address, Probe& found) {
  auto response = co_await client.send(address, {.method = "GET", .target = "/metrics"}, &watch.cancel);
  if (!response) {
    watch.cut = note_end(response.error(), found);
    co_return;
  }
  if ((*response)->status() == 404) watch.has_metrics = false;
  if ((*response)->status() != 200) {
    found.error = fmt::format("GET /metrics answers {}", (*response)->status());
    co_return;
  }
  EngineMetricsParser parser;
  while (true) {
    const auto piece = co_await (*response)->read();
    if (!piece) {
      watch.cut = note_end(piece.error(), found);
      co_return;
    }
    if (piece->empty()) break;
    if (const auto fed = parser.feed(*piece); !fed) {
      found.error = fed.error().to_string();
      co_return;
    }
  }
  found.readings = parser.finish();
}

Task<void> EndpointProber::State::ask_models(Watch& watch, const net::Address& address, Probe& found) {
  auto response = co_await client.send(address, {.method = "GET", .target = "/v1/models"}, &watch.cancel);
  if (!response) {
    watch.cut = note_end(response.error(), found);
    co_return;
  }
  if ((*response)->status() != 200) {
    found.error = fmt::format("GET /v1/models answers {}", (*response)->status());
    co_return;
  }
  const auto body = co_await (*response)->read_all(kModelListBytesMax);
  const auto cards = body ? openai::read_model_list(*body) : std::unexpected(body.error());
  if (!cards) {
    found.error = cards.error().to_string();
    co_return;
  }
  std::vector<ServedModel> models;
  for (const openai::ModelCard& card : *cards) {
    models.push_back({.id = card.id,
                      .created = card.created,
                      .context_tokens = card.context_tokens,
                      .block_fingerprint = digest_from_hex(card.block_fingerprint)});
  }
  watch.models_due = SteadyClock::now() + options.models_interval;
  found.models = std::move(models);
}

}  // namespace llmd::pool
