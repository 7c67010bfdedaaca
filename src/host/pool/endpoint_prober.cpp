#include "pool/endpoint_prober.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/redirect_error.hpp>
#include <ctime>
#include <map>
#include <span>
#include <utility>

#include "api/ollama/running_models.h"
#include "api/openai/model_list_reader.h"
#include "base/rng.h"
#include "net/client.h"
#include "pool/metric_adapter.h"
#include "pool/scrape_pacer.h"
#include "telemetry/log.h"

namespace llmd::pool {
namespace {

constexpr std::size_t kModelListBytesMax = 1024 * 1024;
constexpr std::size_t kReadyBytesMax = 64 * 1024;
constexpr Duration kSecondLook = milliseconds{50};
constexpr Duration kBetweenSamples = milliseconds{200};  // of the loop's CPU time
constexpr Duration kPagesAgain = seconds{30};
constexpr Duration kRecognisedFor = seconds{30};  // then another engine's series may be on the page, too
constexpr Duration kSlot = milliseconds{5};       // looks come in these: one wake-up of the loop for many
constexpr std::string_view kOllamaPath = "/api/ps";
constexpr std::string_view kXllmPath = "/brpc_metrics";

/// Whether the connection ended: the endpoint was ready a moment ago, but may be gone now.
bool note_end(const Error& error, Probe& found) {
  found.error = error.to_string();
  return error.code == ErrorCode::kConnectionRefused || error.code == ErrorCode::kConnectionClosed;
}

Duration thread_cpu() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::duration_cast<Duration>(std::chrono::seconds{time.tv_sec} +
                                              std::chrono::nanoseconds{time.tv_nsec});
}

/// The end of a pause, at a slot's end if the pause is long enough for that.
TimePoint end_of(Duration pause, TimePoint now) {
  const TimePoint end = now + pause;
  return pause < 4 * kSlot ? end : end - end.time_since_epoch() % kSlot;
}

/// The pod that an endpoint's name says, without namespace and number of a port: what DCGM's page calls it.
std::string_view pod_of(std::string_view name) {
  if (name.find("://") != std::string_view::npos) return {};  // a URL
  if (const std::size_t slash = name.rfind('/'); slash != std::string_view::npos) name.remove_prefix(slash + 1);
  return name.substr(0, name.rfind("-rank-"));
}

/// Where a page stands if not at the endpoint's own address.
Result<net::Address> address_of(const Endpoint& endpoint, std::uint16_t port, bool at_node) {
  LLMD_TRY(net::Address address, net::Address::parse_url(endpoint.url));
  if (at_node) {
    const auto label = endpoint.labels.find(config::kNodeAddressLabel);
    if (label == endpoint.labels.end() || label->second.empty()) {
      return fail(ErrorCode::kAddressInvalid,
                  fmt::format("endpoint {} has no label {}", endpoint.name, config::kNodeAddressLabel),
                  "write the address of its machine there, or set useNodeAddress to false");
    }
    const bool bare_v6 = label->second.find(':') != std::string::npos && !label->second.starts_with('[');
    return net::Address::parse(fmt::format(fmt::runtime(bare_v6 ? "[{}]:{}" : "{}:{}"), label->second, port));
  }
  if (port != 0 && address.is_unix())
    return fail(ErrorCode::kAddressInvalid, fmt::format("endpoint {} has no ports, only a socket file", endpoint.name));
  if (port != 0) address.port = port;
  return address;
}

/// One endpoint under observation.
struct Watch {
  Watch(Loop& loop, std::shared_ptr<const Endpoint> at, net::ClientOptions client_options)
      : endpoint{std::move(at)}, client{loop, client_options}, pause{loop.executor()} {}
  std::shared_ptr<const Endpoint> endpoint;
  net::Client client;  // one each: nothing is looked up among a thousand
  Result<net::Address> address = fail(ErrorCode::kAddressInvalid, "");
  Result<net::Address> metrics_address = fail(ErrorCode::kAddressInvalid, "");
  net::CancelToken cancel;
  Timer pause;
  std::vector<std::unique_ptr<Timer>> exporter_pauses{};
  bool stopped = false;
  bool hurried = false;     // its last pause was cut short
  bool refused = false;     // the last time
  bool cut = false;         // a page of the look under way did not come to its end
  bool ready = false;       // the last time that it was asked
  bool has_metrics = true;  // until all its paths answer 404
  TimePoint pages_due{};    // then they are tried again
  const char* ready_path = "/ready";
  std::size_t page = 0;  // which of the paths is asked for metrics
  const MetricAdapter* adapter = nullptr;
  TimePoint scraped_at{};  // the last page of metrics that was read to its end
  TimePoint recognise_due{};
  TimePoint ready_due{};
  TimePoint models_due{};
  std::uint32_t failures = 0;  // in a row
};

/// What an exporter said at the looks before.
struct ExporterWatch {
  config::ExporterSource source;
  std::optional<NodeCounters> counters{};
  TimePoint looked_at{};
  std::uint32_t failures = 0;  // in a row
};

}  // namespace

ProberOptions prober_options(const config::DataLayerConfig& layer) {
  return {.metrics = layer.metrics, .models = layer.models, .extractor = layer.extractor, .exporters = layer.exporters};
}

struct EndpointProber::State : std::enable_shared_from_this<State> {
  State(Loop& on, Pool& of, MetricsRegistry& metrics, ProberOptions with)
      : loop{on},
        pool{of},
        options{std::move(with)},
        adapters{options.extractor},
        pacer{options.cpu_share_max},
        probes{metrics.counter("llmd_pool_probes_total", "Looks at endpoints: readiness, metrics, models")},
        failures{metrics.counter("llmd_pool_probe_failures_total", "Looks at endpoints that found something wrong")},
        interval_gauge{metrics.gauge("llmd_pool_probe_interval_seconds", "Between two looks at an endpoint, now")},
        share_gauge{metrics.gauge("llmd_pool_probe_core_share", "Of one core, what the loop that looks takes")},
        age_gauge{metrics.gauge("llmd_pool_metrics_age_seconds", "Of the oldest metrics of an endpoint that answers")} {
    const std::string_view own = options.metrics ? std::string_view{options.metrics->path} : std::string_view{};
    pages = {own, kXllmPath, kOllamaPath};
  }

  void reconcile();
  void stop_watch(Watch& watch);
  void add_watch(std::shared_ptr<const Endpoint> endpoint, std::map<std::string, std::shared_ptr<Watch>>& to);
  void forget_engine(Watch& watch) const;
  Task<void> run(std::shared_ptr<Watch> watch);
  Task<void> run_exporter(std::shared_ptr<Watch> watch, std::size_t number);
  Task<Result<NodeReadings>> ask_exporter(Watch& watch, ExporterWatch& exporter);
  Task<Probe> probe(Watch& watch);
  Task<void> ask_readiness(Watch& watch, const net::Address& address, Probe& probe);
  Task<void> ask_metrics(Watch& watch, Probe& probe);
  Task<Result<int>> read_page(Watch& watch, const net::Address& address, Probe& probe);
  Task<Result<int>> read_ollama(Watch& watch, const net::Address& address, Probe& probe);
  Task<void> ask_models(Watch& watch, const net::Address& address, Probe& probe);
  void count_look();
  [[nodiscard]] Duration tick() const;
  [[nodiscard]] Duration jittered(Duration pause);
  Duration pause_after(const Watch& watch);
  static void hurry(Watch& watch);

  Loop& loop;
  Pool& pool;
  const ProberOptions options;
  const MetricAdapters adapters;
  ScrapePacer pacer;
  Counter& probes;
  Counter& failures;
  Gauge& interval_gauge;
  Gauge& share_gauge;
  Gauge& age_gauge;
  std::array<std::string_view, 3> pages;  // of metrics, as they are tried
  std::uint64_t looks = 0;
  TimePoint sample_due{};
  double stretch = 1;     // of all intervals
  Rng rng{0x70726f6265};  // jitter only
  bool running = false;
  std::map<std::string, std::shared_ptr<Watch>> watches;
};

EndpointProber::EndpointProber(Loop& loop, Pool& pool, MetricsRegistry& metrics, ProberOptions options)
    : state_{std::make_shared<State>(loop, pool, metrics, std::move(options))} {}

EndpointProber::~EndpointProber() { state_->pool.on_change(nullptr); }

void EndpointProber::start() {
  state_->running = true;
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
  for (const auto& pause : watch.exporter_pauses) pause->cancel();
}

/// Nothing is known of what it is but what its label says.
void EndpointProber::State::forget_engine(Watch& watch) const {
  const std::string_view engine = adapters.engine_of(*watch.endpoint);
  watch.adapter = &adapters.named(engine);
  watch.page = engine == kOllama ? pages.size() - 1 : 0;
  watch.has_metrics = options.metrics.has_value();
  watch.scraped_at = {};
}

void EndpointProber::State::add_watch(std::shared_ptr<const Endpoint> endpoint,
                                      std::map<std::string, std::shared_ptr<Watch>>& to) {
  const std::string name = endpoint->name;
  const net::ClientOptions client{.connect_timeout = options.timeout,
                                  .response_timeout = options.timeout,
                                  .read_timeout = options.timeout,
                                  .idle_connections_max = 2,
                                  .tls = options.tls};
  auto watch = std::make_shared<Watch>(loop, std::move(endpoint), client);
  watch->client.on_idle_end([mine = watch.get()](const net::Address& address) {
    if (mine->address && *mine->address == address) hurry(*mine);
  });
  watch->address = net::Address::parse_url(watch->endpoint->url);
  watch->metrics_address = address_of(*watch->endpoint, options.metrics ? options.metrics->port : 0, /*at_node=*/false);
  forget_engine(*watch);
  to.emplace(name, watch);
  for (std::size_t i = 0; i < options.exporters.size(); ++i) {
    watch->exporter_pauses.push_back(std::make_unique<Timer>(loop.executor()));
    loop.spawn([](std::shared_ptr<State> self, std::shared_ptr<Watch> mine, std::size_t number) -> Task<void> {
      co_await self->run_exporter(std::move(mine), number);
    }(shared_from_this(), watch, i));
  }
  loop.spawn([](std::shared_ptr<State> self, std::shared_ptr<Watch> mine) -> Task<void> {
    co_await self->run(std::move(mine));
  }(shared_from_this(), std::move(watch)));
}

void EndpointProber::State::reconcile() {
  std::map<std::string, std::shared_ptr<Watch>> kept;
  for (auto& endpoint : running ? pool.endpoints() : std::vector<std::shared_ptr<const Endpoint>>{}) {
    const auto found = watches.find(endpoint->name);
    if (found != watches.end() && found->second->endpoint->url == endpoint->url) {
      const bool same_engine = adapters.engine_of(*found->second->endpoint) == adapters.engine_of(*endpoint);
      found->second->endpoint = std::move(endpoint);
      if (!same_engine) forget_engine(*found->second);
      kept.insert(watches.extract(found));
      continue;
    }
    add_watch(std::move(endpoint), kept);
  }
  for (auto& [name, watch] : watches) stop_watch(*watch);
  watches = std::move(kept);
}

/// The connection that waited for the next probe has ended: the process may be gone, so the next look is now. Only
/// every second pause is cut, for servers that close every connection.
void EndpointProber::State::hurry(Watch& watch) {
  if (!std::exchange(watch.hurried, true)) watch.pause.cancel();
}

/// Between two looks, as long as nothing is wrong and there is CPU time.
Duration EndpointProber::State::tick() const {
  const Duration metrics = options.metrics ? Duration{options.metrics->interval} : Duration{};
  return metrics > Duration{} ? std::min<Duration>(metrics, options.interval) : Duration{options.interval};
}

Duration EndpointProber::State::jittered(Duration pause) {
  return std::chrono::duration_cast<Duration>(pause * (0.9 + 0.2 * rng.uniform()));
}

Duration EndpointProber::State::pause_after(const Watch& watch) {
  if (watch.refused && watch.failures == 1) return std::min<Duration>(kSecondLook, options.interval);
  const Duration usual = std::chrono::duration_cast<Duration>(tick() * stretch);
  Duration pause = watch.failures > 0 ? std::max<Duration>(usual, options.interval) : usual;
  for (std::uint32_t i = 2; i < watch.failures && pause < options.backoff_max; ++i) pause *= 2;
  return jittered(std::min<Duration>(pause, std::max<Duration>({options.backoff_max, options.interval, usual})));
}

/// Now and then looks at what looks cost.
void EndpointProber::State::count_look() {
  ++looks;
  const TimePoint now = SteadyClock::now();
  if (now < sample_due) return;
  sample_due = now + kBetweenSamples;
  pacer.sample(thread_cpu(), looks, now);
  double wanted = 1 / to_seconds(tick());
  for (const config::ExporterSource& exporter : options.exporters) {
    const Duration own{exporter.page.interval};
    wanted += 1 / to_seconds(own > Duration{} ? own : Duration{options.interval});
  }
  stretch = pacer.stretch(wanted * static_cast<double>(watches.size()));
  interval_gauge.set(to_seconds(tick()) * stretch);
  share_gauge.set(pacer.share());
  Duration oldest{};
  for (const auto& [name, watch] : watches) {
    if (watch->ready && watch->has_metrics && watch->scraped_at != TimePoint{})
      oldest = std::max(oldest, now - watch->scraped_at);
  }
  age_gauge.set(to_seconds(oldest));
}

Task<void> EndpointProber::State::run(std::shared_ptr<Watch> watch) {
  while (!watch->stopped) {
    Probe found = co_await probe(*watch);
    if (watch->stopped) co_return;
    probes.add();
    count_look();
    const bool asked = found.readiness != Probe::Readiness::kNotAsked;
    watch->refused = found.readiness == Probe::Readiness::kRefused;
    const bool away = watch->refused || found.readiness == Probe::Readiness::kSilent;
    if (asked) watch->failures = away ? watch->failures + 1 : 0;
    if (watch->refused) forget_engine(*watch);  // another process may come
    if (!found.error.empty()) {
      failures.add();
      log::debug("endpoint {}: {}", watch->endpoint->name, found.error);
    }
    if (found.readings) watch->scraped_at = SteadyClock::now();
    pool.on_probe(watch->endpoint->name, std::move(found), SteadyClock::now());
    watch->pause.expires_at(end_of(pause_after(*watch), SteadyClock::now()));
    boost::system::error_code woken;
    co_await watch->pause.async_wait(asio::redirect_error(use_task, woken));
    if (!woken) watch->hurried = false;
    if (woken) watch->ready_due = {};
  }
}

Task<Probe> EndpointProber::State::probe(Watch& watch) {
  Probe found;
  if (!watch.address) {
    found.readiness = Probe::Readiness::kRefused;
    found.error = watch.address.error().to_string();
    co_return found;
  }
  const TimePoint now = SteadyClock::now();
  if (!watch.ready || now >= watch.ready_due) {
    // A look that comes a little early because of the jitter is as good as one in time.
    watch.ready_due = now + options.interval - std::min<Duration>(tick(), options.interval) / 4;
    co_await ask_readiness(watch, *watch.address, found);
  }
  const bool answers = watch.ready;
  watch.cut = false;
  // A proxy before it may have answered 404 while the engine was replaced.
  if (answers && !watch.has_metrics && options.metrics && now >= watch.pages_due) forget_engine(watch);
  if (answers && watch.has_metrics) co_await ask_metrics(watch, found);
  if (answers && SteadyClock::now() >= watch.models_due) co_await ask_models(watch, *watch.address, found);
  if (watch.cut) {  // a page alone may be broken, whose server goes on
    std::string error = std::move(found.error);
    co_await ask_readiness(watch, *watch.address, found);
    if (found.readiness == Probe::Readiness::kReady) found.error = std::move(error);
  }
  co_return found;
}

Task<void> EndpointProber::State::ask_readiness(Watch& watch, const net::Address& address, Probe& found) {
  const TimePoint asked = SteadyClock::now();
  auto response = co_await watch.client.send(address, {.method = "GET", .target = watch.ready_path}, &watch.cancel);
  if (!response) {
    const bool silent = response.error().code == ErrorCode::kDeadlineExceeded;
    found.readiness = silent ? Probe::Readiness::kSilent : Probe::Readiness::kRefused;
    watch.ready = false;
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
  watch.ready = ready;
  if (!ready) {
    found.error = fmt::format("GET {} answers {}", watch.ready_path, status);
    watch.models_due = {};  // it may come back with another model
  }
}

/// Asks the paths in turn, until one is there.
Task<void> EndpointProber::State::ask_metrics(Watch& watch, Probe& found) {
  const bool at_ollama = pages[watch.page] == kOllamaPath;
  const Result<net::Address>& address = at_ollama ? watch.address : watch.metrics_address;
  if (!address) {
    found.error = address.error().to_string();
    co_return;
  }
  Result<int> status{0};
  if (at_ollama) {  // no conditional expression: GCC 12 destroys its parts wrongly in coroutines
    status = co_await read_ollama(watch, *address, found);
  } else {
    status = co_await read_page(watch, *address, found);
  }
  if (!status) {
    watch.cut = note_end(status.error(), found);
    co_return;
  }
  if (*status == 200) co_return;
  found.error = fmt::format("GET {} answers {}", pages[watch.page], *status);
  if (*status != 404) co_return;
  ++watch.page;
  watch.has_metrics = watch.page < pages.size();
  watch.pages_due = SteadyClock::now() + kPagesAgain;
  if (watch.has_metrics) co_await ask_metrics(watch, found);
}

/// Error: the connection's. A page that cannot be read is in found.error.
Task<Result<int>> EndpointProber::State::read_page(Watch& watch, const net::Address& address, Probe& found) {
  LLMD_CO_TRY(const auto response,
              co_await watch.client.send(address, {.method = "GET", .target = pages[watch.page]}, &watch.cancel));
  if (response->status() != 200) {
    (void)co_await response->read_all(kReadyBytesMax);
    co_return response->status();
  }
  const TimePoint now = SteadyClock::now();
  if (now >= watch.recognise_due) {
    watch.adapter = &adapters.of(*watch.endpoint);
    watch.recognise_due = now + kRecognisedFor;
  }
  EngineMetricsParser parser{*watch.adapter};
  while (true) {
    LLMD_CO_TRY(const std::string_view piece, co_await response->read());
    if (piece.empty()) break;
    if (const auto fed = parser.feed(piece); !fed) {
      found.error = fed.error().to_string();
      co_return 200;
    }
  }
  found.readings = parser.finish();
  found.engine = parser.engine();
  if (found.engine.empty()) {
    watch.recognise_due = {};
  } else {
    watch.adapter = &adapters.named(found.engine);
  }
  co_return 200;
}

/// Ollama tells no queue, but which models it has in memory: as good as loaded adapters are elsewhere.
Task<Result<int>> EndpointProber::State::read_ollama(Watch& watch, const net::Address& address, Probe& found) {
  LLMD_CO_TRY(const auto response,
              co_await watch.client.send(address, {.method = "GET", .target = kOllamaPath}, &watch.cancel));
  LLMD_CO_TRY(const std::string body, co_await response->read_all(kModelListBytesMax));
  if (response->status() != 200) co_return response->status();
  const auto models = ollama::read_running_models(body);
  if (!models) {
    found.error = models.error().to_string();
    co_return 200;
  }
  auto loaded = std::make_shared<LoraState>();
  for (const ollama::RunningModel& model : *models) loaded->running.push_back(model.name);
  found.readings = EngineReadings{};
  found.readings->lora = std::move(loaded);
  found.engine = kOllama;
  co_return 200;
}

Task<Result<NodeReadings>> EndpointProber::State::ask_exporter(Watch& watch, ExporterWatch& exporter) {
  const config::ExporterSource& source = exporter.source;
  LLMD_CO_TRY(const net::Address address, address_of(*watch.endpoint, source.page.port, source.use_node_address));
  LLMD_CO_TRY(const auto response,
              co_await watch.client.send(address, {.method = "GET", .target = source.page.path}, &watch.cancel));
  if (response->status() != 200) {
    co_return fail(ErrorCode::kProtocol,
                   fmt::format("GET {} at {} answers {}", source.page.path, address.to_string(), response->status()));
  }
  NodeMetricsParser parser{source.kind, pod_of(watch.endpoint->name)};
  while (true) {
    LLMD_CO_TRY(const std::string_view piece, co_await response->read());
    if (piece.empty()) break;
    LLMD_CO_TRY_VOID(parser.feed(piece));
  }
  LLMD_CO_TRY_VOID(parser.finish());
  const TimePoint now = SteadyClock::now();
  NodeReadings readings = parser.readings();
  if (exporter.counters) add_rates(*exporter.counters, parser.counters(), now - exporter.looked_at, readings);
  exporter.counters = parser.counters();
  exporter.looked_at = now;
  co_return readings;
}

Task<void> EndpointProber::State::run_exporter(std::shared_ptr<Watch> watch, std::size_t number) {
  ExporterWatch exporter{.source = options.exporters[number]};
  const Duration own{exporter.source.page.interval};
  const Duration interval = own > Duration{} ? own : Duration{options.interval};
  while (!watch->stopped) {
    const auto readings = co_await ask_exporter(*watch, exporter);
    if (watch->stopped) co_return;
    count_look();
    if (readings) {
      if (exporter.failures > 0) log::info("endpoint {}: its exporter answers again", watch->endpoint->name);
      pool.on_node(watch->endpoint->name, *readings, SteadyClock::now());
    } else if (exporter.failures == 0) {
      log::warn("endpoint {}: {}", watch->endpoint->name, readings.error().to_string());
    }
    exporter.failures = readings ? 0 : exporter.failures + 1;
    if (!readings) failures.add();
    Duration pause = std::chrono::duration_cast<Duration>(interval * stretch);
    for (std::uint32_t i = 1; i < exporter.failures && pause < options.backoff_max; ++i) pause *= 2;
    Timer& timer = *watch->exporter_pauses[number];
    timer.expires_at(end_of(jittered(pause), SteadyClock::now()));
    boost::system::error_code woken;
    co_await timer.async_wait(asio::redirect_error(use_task, woken));
  }
}

Task<void> EndpointProber::State::ask_models(Watch& watch, const net::Address& address, Probe& found) {
  const std::string_view path = options.models ? std::string_view{options.models->path} : "/v1/models";
  watch.models_due = SteadyClock::now() + options.interval;  // unless all goes well
  auto response = co_await watch.client.send(address, {.method = "GET", .target = path}, &watch.cancel);
  if (!response) {
    watch.cut = note_end(response.error(), found);
    co_return;
  }
  if ((*response)->status() != 200) {
    found.error = fmt::format("GET {} answers {}", path, (*response)->status());
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
  const Duration own = options.models ? Duration{options.models->interval} : Duration{};
  watch.models_due = SteadyClock::now() + (own > Duration{} ? own : Duration{options.models_interval});
  found.models = std::move(models);
}

}  // namespace llmd::pool
