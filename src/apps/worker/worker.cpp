#include "apps/worker/worker.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "apps/worker/kv_exchange.h"
#include "apps/worker/loaded_model.h"
#include "apps/worker/options.h"
#include "apps/worker/server_options.h"
#include "apps/worker/service.h"
#include "apps/worker/simulated_process.h"
#include "base/mebibytes.h"
#include "net/server.h"
#include "runtime/descriptor_limit.h"
#include "runtime/loop.h"
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

/// The process: loads the model beside the loop, serves, drains.
class Process {
 public:
  Process(Options options, KvSetup kv_setup) : options_{std::move(options)}, kv_setup_{std::move(kv_setup)} {}
  ~Process();

  [[nodiscard]] int run();

 private:
  [[nodiscard]] Result<void> listen();
  void start_loading();
  void on_loaded(Result<LoadedModel> loaded);
  void on_signal(int signal);
  void exit_now(int exit_code);
  [[nodiscard]] Task<void> drain();
  [[nodiscard]] Task<void> wait_for_answers(TimePoint deadline);
  [[nodiscard]] Task<void> wait_for_leases(TimePoint deadline);

  const Options options_;
  const KvSetup kv_setup_;
  MetricsRegistry registry_;
  Loop loop_{"worker"};
  std::unique_ptr<Offload> offload_ = Service::make_offload();
  Service service_{loop_, options_, registry_, *offload_};
  std::unique_ptr<net::Server> server_;
  std::thread loader_;
  std::thread stopper_;
  bool loading_ = true;
  int exit_code_ = 0;
};

Process::~Process() {
  if (loader_.joinable()) loader_.join();
  if (stopper_.joinable()) stopper_.join();
  // Handlers that a drain's deadline left suspended hold blocks of the engine's store: they go first.
  loop_.discard();
}

Result<void> Process::listen() {
  LLMD_TRY(net::ServerOptions server, server_options(options_));
  auto handler = [this](net::Request request, net::Exchange& exchange) {
    return service_.handle(std::move(request), exchange);
  };
  LLMD_TRY(server_, net::Server::listen({&loop_}, std::move(server), std::move(handler)));
  log::info("listening on {}, role {}", server_->address().to_string(), role_name(options_.role));
  return {};
}

void Process::start_loading() {
  loader_ = std::thread{[this] {
    const auto progress = [this](float part) { service_.set_loaded_percent(static_cast<unsigned>(part * 100)); };
    auto loaded = std::make_shared<Result<LoadedModel>>(load_model(options_, kv_setup_, progress));
    loop_.post([this, loaded] { on_loaded(std::move(*loaded)); });
  }};
}

void Process::on_loaded(Result<LoadedModel> loaded) {
  loading_ = false;
  if (!loaded) {
    log::error("cannot serve {}: {}", options_.model_path, loaded.error().to_string());
    exit_code_ = 1;
    loop_.stop();
    return;
  }
  const EngineInfo& info = loaded->engine->info();
  log::info("ready: model {}, context {} tokens, {} sequences at once, KV {}, prefix cache {}",
            options_.served_names.front(), info.context_tokens, info.sequences_max, in_mebibytes(info.kv_bytes),
            in_mebibytes(info.store_bytes_max));
  auto kv = make_kv_exchange(loop_, kv_setup_, *loaded->engine, registry_);
  if (!kv) {
    log::error("cannot keep blocks for decode workers: {}", kv.error().to_string());
    exit_code_ = 1;
    loop_.stop();
    return;
  }
  service_.set_model(*std::move(loaded));
  service_.set_kv(*std::move(kv));
}

void Process::on_signal(int signal) {
  if (loading_ || service_.phase() == Phase::kDraining) {
    log::info("signal {}: stopping at once", signal);
    exit_now(loading_ ? 0 : 1);
    return;
  }
  log::info("signal {}: draining for at most {} ms", signal, options_.drain_timeout.count());
  loop_.spawn(drain());
}

/// Nothing to finish, or asked a second time. Loading cannot be interrupted, and nothing of it outlives the process.
void Process::exit_now(int exit_code) {
  server_->close();
  // After what close() has posted, which unlinks a unix socket.
  loop_.post([exit_code] { std::quick_exit(exit_code); });
}

Task<void> Process::wait_for_answers(TimePoint deadline) {
  while (server_->in_flight() > 0 && SteadyClock::now() < deadline) co_await sleep_for(kDrainPoll);
}

/// A decode leg follows its prefill leg at once; what nobody has fetched by then, nobody will.
Task<void> Process::wait_for_leases(TimePoint deadline) {
  const auto kept = [this] { return service_.kv() != nullptr && service_.kv()->leases() > 0; };
  while (kept() && SteadyClock::now() < deadline) co_await sleep_for(kDrainPoll);
}

Task<void> Process::drain() {
  service_.set_draining();
  server_->drain();
  const TimePoint deadline = SteadyClock::now() + options_.drain_timeout;
  co_await wait_for_answers(deadline);
  const TimePoint lease_deadline = std::min<TimePoint>(deadline, SteadyClock::now() + kLeaseGrace);
  co_await wait_for_leases(lease_deadline);
  if (const std::size_t left = server_->in_flight(); left > 0) {
    log::warn("{} requests did not end in time and are cut off", left);
  }
  // Ends what still runs with a cancelled event, which the requests turn into their error. Blocks, so not on the loop.
  stopper_ = std::thread{[this] { service_.model().engine->shut_down(milliseconds{0}); }};
  co_await wait_for_answers(SteadyClock::now() + kCancelGrace);
  server_->close();
  loop_.stop();
}

int Process::run() {
  const StallDetector stalls{registry_, {}};
  log::add_metrics(registry_);
  const SignalWatch signals{loop_, {SIGINT, SIGTERM}, [this](int signal) { on_signal(signal); }};
  const Result<void> listening = listen();
  if (!listening) {
    log::error("cannot listen on {}: {}", options_.listen, listening.error().to_string());
    return 1;
  }
  start_loading();
  loop_.run();
  return exit_code_;
}

}  // namespace
}  // namespace llmd::worker

namespace llmd {

int worker_main(int argc, char** argv) {
  worker::CommandLine line = worker::parse_command_line(argc, argv);
  if (!line.options) return flags::end(line.ending);
  log::init({.level = line.options->log.level, .format = line.options->log.format, .component = "worker"});
  ignore_sigpipe();
  raise_descriptor_limit();
  if (line.options->engine == worker::EngineKind::kSimulated) return worker::run_simulated(*std::move(line.options));
  auto kv_setup = worker::make_kv_setup(*line.options);  // before there are threads
  if (!kv_setup) {
    log::error("{}", kv_setup.error().to_string());
    return 1;
  }
  worker::Process process{*std::move(line.options), *std::move(kv_setup)};
  return process.run();
}

}  // namespace llmd
