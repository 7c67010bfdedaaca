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
#include "config/models_file.h"
#include "config/read_file.h"
#include "flags/topology.h"
#include "llamacpp/model_facts.h"
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
constexpr std::size_t kModelsBytesMax = 256 * 1024;
constexpr std::size_t kReadyBytesMax = 64 * 1024;
constexpr milliseconds kProgressTimeout{1'000};
// At a stop the gateway has finished or cut every request before the workers hear of it: what a worker still waits for
// are leases, 3 s at most.
constexpr milliseconds kWorkerDrainMax{5'000};
constexpr milliseconds kWorkerExitMax{2'000};

/// A model with the workers that serve it.
struct Served {
  std::string pool;  // of the gateway; empty: the only one
  std::string name;  // what clients call it
  std::string path;
  flags::Topology topology;
  unsigned threads = 0;  // of each worker; 0: its share of the cores
};

/// All parts of one `llmd up`.
class Process {
 public:
  Process(Options options, std::vector<Served> models, std::unique_ptr<RuntimeDirectory> directory)
      : options_{std::move(options)}, models_{std::move(models)}, directory_{std::move(directory)} {}

  [[nodiscard]] Result<int> run();

 private:
  [[nodiscard]] Result<std::vector<WorkerSpec>> worker_specs() const;
  void add_worker(const Served& model, EndpointRole role, const std::vector<std::string>& arguments,
                  std::vector<WorkerSpec>& specs) const;
  [[nodiscard]] Result<std::vector<std::vector<std::string>>> worker_memory() const;
  [[nodiscard]] Result<gateway::Setup> gateway_setup(const std::vector<WorkerSpec>& workers) const;
  [[nodiscard]] Result<gateway::PoolSetup> pool_setup(const Served& model,
                                                      const std::vector<WorkerSpec>& workers) const;
  [[nodiscard]] std::uint32_t workers_in_all() const;
  [[nodiscard]] const Served& served_by(const WorkerSpec& worker) const;
  [[nodiscard]] SupervisorHooks hooks();
  [[nodiscard]] Task<void> watch_readiness(std::vector<WorkerSpec> workers);
  [[nodiscard]] Task<void> ask_progress(const std::vector<WorkerSpec>& workers);
  void warn_about_cores() const;
  void add_metrics();
  [[nodiscard]] routing::Plane& plane_of(const WorkerSpec& worker) {
    return *service_->pools().find(worker.pool)->plane;
  }

  const Options options_;
  const std::vector<Served> models_;
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

std::uint32_t Process::workers_in_all() const {
  std::uint32_t workers = 0;
  for (const Served& model : models_) workers += model.topology.workers();
  return workers;
}

const Served& Process::served_by(const WorkerSpec& worker) const {
  return *std::ranges::find(models_, worker.pool, &Served::pool);
}

/// By model. Each worker alone would look at what is free now, and take it for itself.
Result<std::vector<std::vector<std::string>>> Process::worker_memory() const {
  if (workers_in_all() == 1) return std::vector<std::vector<std::string>>{memory_arguments(options_.worker)};
  std::vector<ModelShare> shares;
  for (const Served& model : models_) {
    LLMD_TRY(llamacpp::ModelFacts facts, llamacpp::read_model_facts(model.path));
    shares.push_back({.name = model.name, .facts = std::move(facts), .workers = model.topology.workers()});
  }
  LLMD_TRY(const std::vector<engine::MemoryPlan> plans,
           share_memory(shares, options_.worker, engine::available_memory_bytes()));
  std::vector<std::vector<std::string>> arguments;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    if (plans[i].shrunk) {
      log::warn("{} workers of {} share this machine's memory, which leaves each KV {} and prefix cache {}",
                shares[i].workers, shares[i].name, in_mebibytes(plans[i].need.kv), in_mebibytes(plans[i].need.store));
    }
    arguments.push_back(memory_arguments(plans[i]));
  }
  return arguments;
}

void Process::add_worker(const Served& model, EndpointRole role, const std::vector<std::string>& arguments,
                         std::vector<WorkerSpec>& specs) const {
  WorkerSpec spec{
      .name = fmt::format("worker-{}", specs.size()), .pool = model.pool, .role = role, .socket = {}, .argv = {}};
  spec.socket = directory_->file(spec.name + ".sock");
  spec.argv = {
      this_program(),       "worker", "--model", model.path, "--role", std::string{role_name(role)}, "--listen",
      "unix:" + spec.socket};
  // A worker that may become a prefill worker must be able to hand its blocks on.
  if (options_.gateway.rebalance_roles && options_.worker.kv.listen == "auto")
    spec.argv.insert(spec.argv.end(), {"--kv-listen", fmt::format("unix:{}.kv", spec.socket)});
  spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
  specs.push_back(std::move(spec));
}

Result<std::vector<WorkerSpec>> Process::worker_specs() const {
  LLMD_TRY(const std::vector<std::vector<std::string>> memory, worker_memory());
  std::vector<WorkerSpec> specs;
  for (std::size_t i = 0; i < models_.size(); ++i) {
    const Served& model = models_[i];
    const unsigned threads = model.threads > 0 ? model.threads : flags::threads_per_worker(cores(), workers_in_all());
    std::vector<std::string> arguments{"--threads", std::to_string(threads), "--log-format",
                                       logs_text(options_.gateway.log.format) ? "text" : "json"};
    if (options_.worker.served_names.empty()) arguments.insert(arguments.end(), {"--served-model-name", model.name});
    arguments.insert(arguments.end(), options_.worker_args.begin(), options_.worker_args.end());
    arguments.insert(arguments.end(), memory[i].begin(), memory[i].end());
    for (const flags::Topology::Group& group : model.topology.groups) {
      for (std::uint32_t count = 0; count < group.count; ++count) add_worker(model, group.role, arguments, specs);
    }
  }
  return specs;
}

Result<gateway::PoolSetup> Process::pool_setup(const Served& model, const std::vector<WorkerSpec>& workers) const {
  gateway::PoolSetup pool{.name = model.pool};
  const std::vector<std::string>& given = options_.worker.served_names;
  const std::vector<std::string> names = given.empty() ? std::vector{model.name} : given;
  for (const WorkerSpec& worker : workers) {
    if (worker.pool != model.pool) continue;
    Endpoint endpoint;
    endpoint.name = worker.name;
    endpoint.url = "unix:" + worker.socket;
    for (const std::string& name : names) endpoint.models.push_back({.id = name});
    if (worker.role != EndpointRole::kUnified) endpoint.labels[std::string{kRoleLabel}] = role_name(worker.role);
    if (options_.gateway.rebalance_roles) endpoint.labels[std::string{pd::kRoleMayChangeLabel}] = "true";
    pool.endpoints.push_back(std::move(endpoint));
  }
  if (options_.tokenize_in_gateway) pool.own_model_path = model.path;
  LLMD_TRY(pool.own_chat_template, read_chat_template(options_.worker.chat_template_path));
  const std::string_view fallback =
      model.topology.disaggregated() ? config::default_disagg_config() : config::default_unified_config();
  pool.config_source = gateway::config_source(options_.gateway, fallback);
  LLMD_TRY(pool.config, routing::load_config(pool.config_source));
  return pool;
}

Result<gateway::Setup> Process::gateway_setup(const std::vector<WorkerSpec>& workers) const {
  gateway::Setup setup;
  setup.options = options_.gateway;
  for (const Served& model : models_) {
    LLMD_TRY(gateway::PoolSetup pool, pool_setup(model, workers));
    setup.pools.pools.push_back(std::move(pool));
  }
  if (models_.size() == 1) {
    LLMD_TRY(setup.pools, gateway::only_pool(std::move(setup.pools.pools.front())));
  } else {
    LLMD_TRY(setup.pools, gateway::pool_by_model(std::move(setup.pools.pools)));
  }
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
            plane_of(worker).pool().restart(worker.name);
            plane_of(worker).router().forget(worker.name);
          },
      // Once more: what requests of the old process told meanwhile does not count for the new one.
      .on_restart = [this](const WorkerSpec& worker) { plane_of(worker).pool().restart(worker.name); },
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
    std::erase_if(workers, [&](const WorkerSpec& worker) {
      const auto view = plane_of(worker).pool().view(SteadyClock::now());
      const bool ready = std::ranges::any_of(view->snapshot.endpoints, [&worker](const EndpointState& state) {
        return state.endpoint->name == worker.name && state.health == EndpointHealth::kReady;
      });
      if (!ready) return false;
      supervisor_->set_ready(worker.name);
      show(loading.clear());
      say(fmt::format("{} is ready: {}, {}, process {}, after {:.1f} s", worker.name, served_by(worker).name,
                      role_name(worker.role), supervisor_->pid_of(worker.name),
                      to_seconds(SteadyClock::now() - begin)));
      return true;
    });
    if (workers.empty()) break;
    co_await ask_progress(workers);
    show(loading.next({.model = served_by(workers.front()).name,
                       .workers_ready = workers_in_all() - workers.size(),
                       .workers = workers_in_all(),
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
  if (workers_in_all() <= cores()) return;
  log::warn("{} workers share {} cores: each is slower than one alone", workers_in_all(), cores());
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

/// The models of the file, or the one of the flags.
Result<std::vector<Served>> models_of(const Options& options) {
  if (options.models_path.empty()) {
    LLMD_TRY(llamacpp::ModelFile model, llamacpp::find_model(options.model, llamacpp::model_folder()));
    return std::vector<Served>{{.pool = {},
                                .name = std::move(model.name),
                                .path = std::move(model.path),
                                .topology = options.topology,
                                .threads = options.threads}};
  }
  const std::string& file = options.models_path;
  LLMD_TRY(const std::string text, config::read_file(file, kModelsBytesMax));
  LLMD_TRY(const std::vector<config::ModelEntry> entries, config::parse_models_file(text, file));
  std::vector<Served> models;
  for (const config::ModelEntry& entry : entries) {
    const auto at = [&](Error error) {
      error.what = fmt::format("{}:{}: {}", file, entry.line, error.what);
      return std::unexpected(std::move(error));
    };
    auto found = llamacpp::find_model(entry.model, llamacpp::model_folder());
    if (!found) return at(found.error());
    auto topology = flags::parse_topology(entry.topology);
    if (!topology) return at(topology.error());
    models.push_back({.pool = entry.name,
                      .name = entry.name,
                      .path = std::move(found->path),
                      .topology = *std::move(topology),
                      .threads = entry.threads > 0 ? entry.threads : options.threads});
  }
  return models;
}

Result<int> start(Options options) {
  LLMD_TRY(std::vector<Served> models, models_of(options));
  // Before anything starts a thread: it forks.
  LLMD_TRY(std::unique_ptr<RuntimeDirectory> directory, RuntimeDirectory::create("up"));
  Process process{std::move(options), std::move(models), std::move(directory)};
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
