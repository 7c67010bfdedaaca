#include "apps/up/up.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <memory>
#include <thread>
#include <utility>

#include "apps/gateway/options.h"
#include "apps/gateway/run.h"
#include "apps/up/child_log.h"
#include "apps/up/loading_report.h"
#include "apps/up/memory_share.h"
#include "apps/up/options.h"
#include "apps/up/supervisor.h"
#include "apps/up/welcome.h"
#include "base/mebibytes.h"
#include "config/default_config.h"
#include "flags/topology.h"
#include "llamacpp/model_file.h"
#include "net/client.h"
#include "pd/role_balancer.h"
#include "runtime/descriptor_limit.h"
#include "runtime/runtime_directory.h"
#include "runtime/signals.h"
#include "telemetry/log.h"
#include "tokenizer/tokenizer.h"

namespace llmd {
namespace up {
namespace {

constexpr milliseconds kReadyPoll{50};
constexpr std::size_t kReadyBytesMax = 64 * 1024;
constexpr milliseconds kProgressTimeout{1'000};
// At a stop the gateway has finished or cut every request before the workers hear of it: what a worker still waits for
// are leases, 3 s at most.
constexpr milliseconds kWorkerDrainMax{5'000};
constexpr milliseconds kWorkerExitMax{2'000};

/// All parts of one `llmd up`.
class Process {
 public:
  Process(Options options, llamacpp::ModelFile model, std::unique_ptr<RuntimeDirectory> directory)
      : options_{std::move(options)}, model_{std::move(model)}, directory_{std::move(directory)} {}

  [[nodiscard]] Result<int> run();

 private:
  [[nodiscard]] Result<std::vector<WorkerSpec>> worker_specs() const;
  [[nodiscard]] Result<std::vector<std::string>> worker_memory() const;
  [[nodiscard]] Result<gateway::Setup> gateway_setup(const std::vector<WorkerSpec>& workers) const;
  [[nodiscard]] SupervisorHooks hooks();
  [[nodiscard]] Task<void> watch_readiness(std::vector<WorkerSpec> workers);
  [[nodiscard]] Task<void> ask_progress(const std::vector<WorkerSpec>& workers);
  void warn_about_cores() const;
  void add_metrics();

  const Options options_;
  const flags::Topology& topology_ = options_.topology;
  const llamacpp::ModelFile model_;
  const std::unique_ptr<RuntimeDirectory> directory_;
  Loop loop_{"up"};
  net::Client progress_client_{
      loop_,
      {.connect_timeout = kProgressTimeout, .response_timeout = kProgressTimeout, .read_timeout = kProgressTimeout}};
  unsigned loaded_percent_ = 0;
  std::unique_ptr<gateway::Service> service_;
  std::unique_ptr<Supervisor> supervisor_;
  int exit_code_ = 0;
  bool stopping_ = false;
};

/// What `auto` comes to here, where stderr is; the workers' stderr is a pipe.
bool logs_text(log::Format format) {
  return format == log::Format::kText || (format == log::Format::kAuto && ::isatty(STDERR_FILENO) == 1);
}

/// The binary that runs now. Its path reads better in a list of processes than /proc/self/exe, which also serves when a
/// newer file stands there.
std::string this_program() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return !error && std::filesystem::exists(path, error) ? path.string() : "/proc/self/exe";
}

unsigned cores() { return std::max(1U, std::thread::hardware_concurrency()); }

/// Each worker alone would look at what is free now, and take it for itself.
Result<std::vector<std::string>> Process::worker_memory() const {
  if (topology_.workers() == 1) return memory_arguments(options_.worker);
  LLMD_TRY(const engine::MemoryPlan plan, share_memory(model_.path, options_.worker, topology_.workers()));
  if (plan.shrunk) {
    log::warn("{} workers share this machine's memory, which leaves each KV {} and prefix cache {}",
              topology_.workers(), in_mebibytes(plan.need.kv), in_mebibytes(plan.need.store));
  }
  return memory_arguments(plan);
}

Result<std::vector<WorkerSpec>> Process::worker_specs() const {
  const unsigned threads =
      options_.threads > 0 ? options_.threads : flags::threads_per_worker(cores(), topology_.workers());
  LLMD_TRY(const std::vector<std::string> memory, worker_memory());
  std::vector<std::string> common{"--threads", std::to_string(threads), "--log-format",
                                  logs_text(options_.gateway.log.format) ? "text" : "json"};
  if (options_.worker.served_names.empty()) common.insert(common.end(), {"--served-model-name", model_.name});
  common.insert(common.end(), options_.worker_args.begin(), options_.worker_args.end());
  common.insert(common.end(), memory.begin(), memory.end());
  const std::string program = this_program();
  std::vector<WorkerSpec> specs;
  for (const flags::Topology::Group& group : topology_.groups) {
    for (std::uint32_t i = 0; i < group.count; ++i) {
      WorkerSpec spec{.name = fmt::format("worker-{}", specs.size()), .role = group.role, .socket = {}, .argv = {}};
      spec.socket = directory_->file(spec.name + ".sock");
      spec.argv = {program,    "worker",
                   "--model",  model_.path,
                   "--role",   std::string{role_name(group.role)},
                   "--listen", "unix:" + spec.socket};
      // A worker that may become a prefill worker must be able to hand its blocks on.
      if (options_.gateway.rebalance_roles && options_.worker.kv.listen == "auto")
        spec.argv.insert(spec.argv.end(), {"--kv-listen", fmt::format("unix:{}.kv", spec.socket)});
      spec.argv.insert(spec.argv.end(), common.begin(), common.end());
      specs.push_back(std::move(spec));
    }
  }
  return specs;
}

Result<gateway::Setup> Process::gateway_setup(const std::vector<WorkerSpec>& workers) const {
  gateway::Setup setup;
  setup.options = options_.gateway;
  const std::vector<std::string>& given = options_.worker.served_names;
  const std::vector<std::string> names = given.empty() ? std::vector{model_.name} : given;
  for (const WorkerSpec& worker : workers) {
    Endpoint endpoint;
    endpoint.name = worker.name;
    endpoint.url = "unix:" + worker.socket;
    for (const std::string& name : names) endpoint.models.push_back({.id = name});
    if (worker.role != EndpointRole::kUnified) endpoint.labels[std::string{kRoleLabel}] = role_name(worker.role);
    if (options_.gateway.rebalance_roles) endpoint.labels[std::string{pd::kRoleMayChangeLabel}] = "true";
    setup.endpoints.push_back(std::move(endpoint));
  }
  if (options_.tokenize_in_gateway) setup.own_model_path = model_.path;
  LLMD_TRY(setup.own_chat_template, read_chat_template(options_.worker.chat_template_path));
  const std::string_view fallback =
      topology_.disaggregated() ? config::default_disagg_config() : config::default_unified_config();
  setup.config_source = gateway::config_source(setup.options, fallback);
  LLMD_TRY(setup.config, routing::load_config(setup.config_source));
  if (const std::string& admin = options_.gateway.admin; admin != "none") {
    LLMD_TRY(setup.admin, net::Address::parse(admin.empty() ? "unix:" + directory_->file("admin.sock") : admin));
  }
  return setup;
}

SupervisorHooks Process::hooks() {
  return {
      .on_line = [](const WorkerSpec& worker,
                    std::string_view line) { put_on_stderr(with_process(worker.name, line)); },
      .on_exit =
          [this](const WorkerSpec& worker, const ChildExit& exit, Duration pause) {
            log::warn("{} ended ({}); starting it again in {:.1f} s", worker.name, exit.to_string(), to_seconds(pause));
            service_->pool().restart(worker.name);
            service_->router().forget(worker.name);
          },
      // Once more: what requests of the old process told meanwhile does not count for the new one.
      .on_restart = [this](const WorkerSpec& worker) { service_->pool().restart(worker.name); },
      .on_useless =
          [this](const WorkerSpec& worker, const ChildExit& exit) {
            log::error("{} cannot start ({}); its log above says why", worker.name, exit.to_string());
            exit_code_ = 1;
            loop_.stop();
          },
  };
}

/// Tells, once a worker, when it is ready; at the end how to use the server.
Task<void> Process::watch_readiness(std::vector<WorkerSpec> workers) {
  const TimePoint begin = SteadyClock::now();
  LoadingReport loading{{.terminal = ::isatty(STDOUT_FILENO) == 1}};
  while (!workers.empty() && !stopping_) {
    co_await sleep_for(kReadyPoll);
    for (const pool::EndpointReport& report : service_->pool().report(SteadyClock::now())) {
      const auto found = std::find_if(workers.begin(), workers.end(), [&](const WorkerSpec& worker) {
        return worker.name == report.state.endpoint->name;
      });
      if (found == workers.end() || report.state.health != EndpointHealth::kReady) continue;
      supervisor_->set_ready(found->name);
      show(loading.clear());
      say(fmt::format("{} is ready: {}, {}, process {}, after {:.1f} s", found->name, model_.name,
                      role_name(found->role), supervisor_->pid_of(found->name),
                      to_seconds(SteadyClock::now() - begin)));
      workers.erase(found);
    }
    if (workers.empty()) break;
    co_await ask_progress(workers);
    show(loading.next({.model = model_.name,
                       .workers_ready = topology_.workers() - workers.size(),
                       .workers = topology_.workers(),
                       .percent = loaded_percent_,
                       .elapsed = SteadyClock::now() - begin}));
  }
  show(loading.clear());
  if (stopping_) co_return;
  say(welcome(service_->address(), {.with_key = !options_.gateway.api_key.empty()}));
}

/// How far the slowest of the workers is, from what it says of itself while it is not ready.
Task<void> Process::ask_progress(const std::vector<WorkerSpec>& workers) {
  unsigned slowest = 100;
  for (const WorkerSpec& worker : workers) {
    const net::Address address{.host = {}, .port = 0, .unix_path = worker.socket};
    const net::ClientRequest ask{.method = "GET", .target = "/ready"};
    const auto answer = co_await progress_client_.send(address, ask, nullptr);
    if (!answer) co_return;  // it does not listen yet
    const std::string_view told = (*answer)->headers().get(kLoadedHeader).value_or(std::string_view{});
    unsigned percent = 0;
    (void)std::from_chars(told.data(), told.data() + told.size(), percent);
    slowest = std::min(slowest, percent);
    (void)co_await (*answer)->read_all(kReadyBytesMax);
  }
  loaded_percent_ = slowest;
}

void Process::warn_about_cores() const {
  if (topology_.workers() <= cores()) return;
  log::warn("{} workers share {} cores: each is slower than one alone", topology_.workers(), cores());
}

void Process::add_metrics() {
  Counter& restarts = service_->metrics().counter("llmd_up_worker_restarts_total", "Workers that were started again");
  service_->metrics().on_collect([this, &restarts, told = std::uint64_t{0}]() mutable {
    const std::uint64_t now = supervisor_->restarts();
    restarts.add(static_cast<double>(now - std::exchange(told, now)));
  });
}

Result<int> Process::run() {
  LLMD_TRY(const std::vector<WorkerSpec> workers, worker_specs());
  warn_about_cores();
  LLMD_TRY(gateway::Setup setup, gateway_setup(workers));
  gateway::SignalledRun signalled{loop_};
  // The gateway comes first: a port that is taken shows before a model is loaded.
  LLMD_TRY(service_, gateway::Service::start(loop_, std::move(setup)));
  SupervisorOptions supervision;
  supervision.stop_grace = std::min(options_.gateway.drain_timeout, kWorkerDrainMax) + kWorkerExitMax;
  supervisor_ = std::make_unique<Supervisor>(loop_, workers, supervision, hooks());
  add_metrics();
  gateway::warn_if_open_to_all(service_->address(), options_.gateway);
  log::info("listening on {}", service_->address().to_string());
  say(fmt::format("gateway listens on {}", base_url(service_->address())));
  LLMD_TRY_VOID(supervisor_->start());
  loop_.spawn(watch_readiness(workers));
  signalled.run(*service_, [this]() -> Task<void> {
    stopping_ = true;
    return supervisor_->stop();
  });
  supervisor_.reset();
  service_.reset();
  return exit_code_;
}

Result<int> start(Options options) {
  LLMD_TRY(llamacpp::ModelFile model, llamacpp::find_model(options.model, llamacpp::model_folder()));
  // Before anything starts a thread: it forks.
  LLMD_TRY(std::unique_ptr<RuntimeDirectory> directory, RuntimeDirectory::create("up"));
  Process process{std::move(options), std::move(model), std::move(directory)};
  return process.run();
}

}  // namespace
}  // namespace up

int up_main(int argc, char** argv) {
  up::CommandLine line = up::parse_command_line(argc, argv);
  if (!line.options) return flags::end(line.ending);
  ignore_sigpipe();
  raise_descriptor_limit();
  const gateway::Options& gateway = line.options->gateway;
  log::init({.level = gateway.log.level, .format = gateway.log.format, .component = "up"});
  const Result<int> ran = up::start(*std::move(line.options));
  if (ran) return *ran;
  log::error("{}", ran.error().to_string());
  return 1;
}

}  // namespace llmd
