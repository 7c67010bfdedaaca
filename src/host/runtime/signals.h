#pragma once

#include <functional>
#include <initializer_list>
#include <memory>

#include "runtime/loop.h"

namespace llmd {

/// Writes to a closed pipe or socket fail with EPIPE instead of ending the process. Once, at the start of main().
void ignore_sigpipe() noexcept;

/// Calls back on the loop for each of some signals while it lives. One object a signal and process.
class SignalWatch {
 public:
  SignalWatch(Loop& loop, std::initializer_list<int> signals, std::function<void(int signal)> on_signal);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Whether the process has a terminal that can end it: false once the terminal has gone.
[[nodiscard]] bool has_terminal() noexcept;

}  // namespace llmd
