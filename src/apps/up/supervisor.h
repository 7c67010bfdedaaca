#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "model/endpoint.h"
#include "runtime/child_process.h"
#include "runtime/loop.h"

namespace llmd::up {

/// One worker to keep running.
struct WorkerSpec {
  std::string name;  // "worker-0"
  std::string pool;  // of the gateway, by name
  EndpointRole role = EndpointRole::kUnified;
  std::string socket;             // path of its unix socket
  std::vector<std::string> argv;  // with the program
};

struct SupervisorOptions {
  milliseconds backoff_min{200};  // before the first restart; each one doubles it ...
  milliseconds backoff_max{10'000};
  milliseconds settled_after{30'000};  // ... until the worker has lived so long
  milliseconds stop_grace{7'000};      // from SIGTERM to SIGKILL: a worker's own drain and a little more
};

/// What the supervisor tells. Called on its loop; they must not destroy it.
struct SupervisorHooks {
  std::function<void(const WorkerSpec& worker, std::string_view line)> on_line;
  /// It ended by itself and will be started again after `pause`.
  std::function<void(const WorkerSpec& worker, const ChildExit& exit, Duration pause)> on_exit;
  std::function<void(const WorkerSpec& worker)> on_restart;
  /// It ended with an error of its own before it was ever ready: starting it again would not help.
  std::function<void(const WorkerSpec& worker, const ChildExit& exit)> on_useless;
};

/// Keeps worker processes running: starts them, starts them again with back-off, ends them. Belongs to one loop.
class Supervisor {
 public:
  Supervisor(Loop& loop, std::vector<WorkerSpec> workers, SupervisorOptions options, SupervisorHooks hooks);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Error of the first worker that cannot be started at all.
  [[nodiscard]] Result<void> start();
  /// The worker answers: from now on it is worth a restart.
  void set_ready(std::string_view name);
  /// SIGTERM to all, and returns when they are gone, at the latest after the grace (then by SIGKILL).
  [[nodiscard]] Task<void> stop();

  [[nodiscard]] pid_t pid_of(std::string_view name) const;
  [[nodiscard]] std::uint64_t restarts() const noexcept { return restarts_; }

 private:
  struct Worker;
  Result<void> spawn(const std::shared_ptr<Worker>& worker);
  void on_exit(const std::shared_ptr<Worker>& worker, const ChildExit& exit);
  Task<void> restart_later(std::shared_ptr<Worker> worker, Duration pause);
  [[nodiscard]] bool any_running() const;

  Loop& loop_;
  const SupervisorOptions options_;
  const SupervisorHooks hooks_;
  std::vector<std::shared_ptr<Worker>> workers_;
  std::uint64_t restarts_ = 0;
  bool stopping_ = false;
};

}  // namespace llmd::up
