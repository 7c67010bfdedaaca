#include "apps/up/supervisor.h"

#include <algorithm>
#include <utility>

#include "telemetry/log.h"

namespace llmd::up {
namespace {

constexpr milliseconds kStopPoll{20};

}  // namespace

struct Supervisor::Worker {
  WorkerSpec spec;
  std::unique_ptr<ChildProcess> child;
  TimePoint started_at{};
  Duration pause{};  // before the next restart
  bool was_ready = false;
};

Supervisor::Supervisor(Loop& loop, std::vector<WorkerSpec> workers, SupervisorOptions options, SupervisorHooks hooks)
    : loop_{loop}, options_{options}, hooks_{std::move(hooks)} {
  for (WorkerSpec& spec : workers) {
    workers_.push_back(std::make_shared<Worker>());
    workers_.back()->spec = std::move(spec);
    workers_.back()->pause = options_.backoff_min;
  }
}

Supervisor::~Supervisor() = default;

Result<void> Supervisor::start() {
  for (const auto& worker : workers_) LLMD_TRY_VOID(spawn(worker));
  return {};
}

Result<void> Supervisor::spawn(const std::shared_ptr<Worker>& worker) {
  ChildOptions child{
      .argv = worker->spec.argv,
      // The gateway asks clients for the key; the sockets are private to this user.
      .environment = {"LLMD_API_KEY="},
      .on_line = [this, raw = worker.get()](ChildStream, std::string_view line) { hooks_.on_line(raw->spec, line); },
      .on_exit =
          [this, weak = std::weak_ptr{worker}](const ChildExit& exit) {
            if (const auto ended = weak.lock()) on_exit(ended, exit);
          }};
  LLMD_TRY(worker->child, ChildProcess::spawn(loop_, std::move(child)));
  worker->started_at = SteadyClock::now();
  return {};
}

void Supervisor::on_exit(const std::shared_ptr<Worker>& worker, const ChildExit& exit) {
  worker->child.reset();
  if (stopping_) return;
  if (!worker->was_ready && exit.signal == 0 && exit.code != 0) {
    hooks_.on_useless(worker->spec, exit);
    return;
  }
  if (SteadyClock::now() - worker->started_at >= options_.settled_after) worker->pause = options_.backoff_min;
  const Duration pause = worker->pause;
  worker->pause = std::min<Duration>(pause * 2, options_.backoff_max);
  hooks_.on_exit(worker->spec, exit, pause);
  loop_.spawn(restart_later(worker, pause));
}

Task<void> Supervisor::restart_later(std::shared_ptr<Worker> worker, Duration pause) {
  co_await sleep_for(pause);
  if (stopping_) co_return;
  ++restarts_;
  hooks_.on_restart(worker->spec);
  const Result<void> spawned = spawn(worker);
  if (spawned) co_return;
  log::error("{} cannot be started again: {}", worker->spec.name, spawned.error().to_string());
  worker->pause = options_.backoff_max;
  loop_.spawn(restart_later(worker, worker->pause));
}

void Supervisor::set_ready(std::string_view name) {
  for (const auto& worker : workers_) {
    if (worker->spec.name == name) worker->was_ready = true;
  }
}

bool Supervisor::any_running() const {
  return std::any_of(workers_.begin(), workers_.end(),
                     [](const auto& worker) { return worker->child != nullptr && worker->child->running(); });
}

Task<void> Supervisor::stop() {
  stopping_ = true;
  for (const auto& worker : workers_) {
    if (worker->child != nullptr) worker->child->terminate(options_.stop_grace);
  }
  const TimePoint deadline = SteadyClock::now() + options_.stop_grace + seconds{1};
  while (any_running() && SteadyClock::now() < deadline) co_await sleep_for(kStopPoll);
  for (const auto& worker : workers_) worker->child.reset();
}

pid_t Supervisor::pid_of(std::string_view name) const {
  for (const auto& worker : workers_) {
    if (worker->spec.name == name && worker->child != nullptr) return worker->child->pid();
  }
  return 0;
}

}  // namespace llmd::up
