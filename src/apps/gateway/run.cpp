#include "apps/gateway/run.h"

#include <csignal>
#include <cstdlib>
#include <utility>

#include "runtime/stall_detector.h"
#include "telemetry/log.h"

namespace llmd::gateway {
namespace {

constexpr int kInterruptedExit = 130;

Task<void> drain_and_stop(Loop& home, Service& service, std::function<Task<void>()> before_exit) {
  co_await service.drain();
  if (before_exit) co_await before_exit();
  co_await sleep_for(milliseconds{20});  // lets cancelled calls unwind
  home.stop();
}

}  // namespace

void warn_if_open_to_all(const net::Address& listen, const Options& options) {
  if (listen.is_loopback() || !options.api_key.empty()) return;
  log::warn("ANYBODY WHO REACHES {} CAN USE THIS SERVER: set LLMD_API_KEY, or listen on 127.0.0.1", listen.to_string());
}

SignalledRun::SignalledRun(Loop& home)
    : home_{home},
      had_terminal_{has_terminal()},
      signals_{home, {SIGINT, SIGTERM, SIGHUP}, [this](int signal) { on_signal(signal); }} {}

void SignalledRun::run(Service& service, std::function<Task<void>()> before_exit) {
  const StallDetector stalls{service.metrics(), {}};
  service_ = &service;
  before_exit_ = std::move(before_exit);
  home_.run();
}

void SignalledRun::on_signal(int signal) {
  if (signal == SIGHUP && (!had_terminal_ || has_terminal())) {
    service_->pools().reload();
    return;
  }
  if (std::exchange(asked_, true)) std::_Exit(kInterruptedExit);
  log::info("signal {}: finishing what is in flight; once more ends at once", signal);
  home_.spawn(drain_and_stop(home_, *service_, before_exit_));
}

}  // namespace llmd::gateway
