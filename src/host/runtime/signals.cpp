#include "runtime/signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <csignal>

namespace llmd {

struct SignalWatch::State : std::enable_shared_from_this<State> {
  State(Loop& loop, std::initializer_list<int> wanted, std::function<void(int)> callback)
      : signals{loop.executor()}, on_signal{std::move(callback)} {
    for (const int signal : wanted) signals.add(signal);
  }

  void wait() {
    signals.async_wait([self = shared_from_this()](const boost::system::error_code& error, int signal) {
      if (error || !self->on_signal) return;
      self->wait();
      self->on_signal(signal);
    });
  }

  asio::basic_signal_set<asio::io_context::executor_type> signals;
  std::function<void(int)> on_signal;
};

void ignore_sigpipe() noexcept { std::signal(SIGPIPE, SIG_IGN); }

SignalWatch::SignalWatch(Loop& loop, std::initializer_list<int> signals, std::function<void(int)> on_signal)
    : state_{std::make_shared<State>(loop, signals, std::move(on_signal))} {
  state_->wait();
}

SignalWatch::~SignalWatch() {
  state_->on_signal = nullptr;
  boost::system::error_code ignored;
  state_->signals.cancel(ignored);
}

bool has_terminal() noexcept {
  const int terminal = ::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) return false;
  ::close(terminal);
  return true;
}

}  // namespace llmd
