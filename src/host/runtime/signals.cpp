#include "runtime/signals.h"

#include <boost/asio/signal_set.hpp>
#include <csignal>

namespace llmd {

struct TerminationSignals::State : std::enable_shared_from_this<State> {
  State(Loop& loop, std::function<void(int)> callback)
      : signals{loop.executor(), SIGINT, SIGTERM}, on_signal{std::move(callback)} {}

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

TerminationSignals::TerminationSignals(Loop& loop, std::function<void(int)> on_signal)
    : state_{std::make_shared<State>(loop, std::move(on_signal))} {
  state_->wait();
}

TerminationSignals::~TerminationSignals() {
  state_->on_signal = nullptr;
  boost::system::error_code ignored;
  state_->signals.cancel(ignored);
}

}  // namespace llmd
