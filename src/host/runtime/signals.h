#pragma once

#include <functional>
#include <memory>

#include "runtime/loop.h"

namespace llmd {

/// Writes to a closed pipe or socket fail with EPIPE instead of ending the process. Once, at the start of main().
void ignore_sigpipe() noexcept;

/// Calls back on the loop for each SIGINT or SIGTERM while it lives. One of these a process.
class TerminationSignals {
 public:
  TerminationSignals(Loop& loop, std::function<void(int signal)> on_signal);
  ~TerminationSignals();
  TerminationSignals(const TerminationSignals&) = delete;
  TerminationSignals& operator=(const TerminationSignals&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace llmd
