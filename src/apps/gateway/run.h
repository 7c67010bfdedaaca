#pragma once

#include <functional>
#include <memory>

#include "apps/gateway/service.h"
#include "runtime/loop.h"
#include "runtime/signals.h"

namespace llmd::gateway {

/// Warns loudly if anybody on the network could use the gateway.
void warn_if_open_to_all(const net::Address& listen, const Options& options);

/// From its construction on a SIGINT or SIGTERM waits for run(): made before the service is, so that one that comes
/// while it starts ends it cleanly too. A SIGHUP reads the configuration again, unless it says that the terminal which
/// the process was started from has gone: then it ends the process as SIGTERM does.
class SignalledRun {
 public:
  explicit SignalledRun(Loop& home);

  /// Runs `home` until a signal has drained the service. A second signal ends the process at once, with exit code 130.
  /// `before_exit` (may be null) runs on the loop after the drain, before the loop stops.
  void run(Service& service, std::function<Task<void>()> before_exit);

 private:
  void on_signal(int signal);

  Loop& home_;
  Service* service_ = nullptr;  // set before the loop runs
  std::function<Task<void>()> before_exit_;
  bool asked_ = false;
  const bool had_terminal_;
  SignalWatch signals_;
};

}  // namespace llmd::gateway
