#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/address.h"
#include "net/listener.h"
#include "net/stream.h"
#include "runtime/loop.h"

namespace llmd::net {

/// Accepts on the first of some loops and deals the connections out in turn. SO_REUSEPORT would spare the hand-over,
/// but it lets a second server take half of a taken port's traffic without an error, deals few long connections
/// unevenly, and does not exist for unix sockets.
class Acceptor : public std::enable_shared_from_this<Acceptor> {
 public:
  /// A connection is there, on the loop with this number, which is the one that runs.
  using OnAccept = std::function<void(std::size_t loop, Socket socket, std::string peer)>;
  /// Asked on the first loop before a connection is dealt out. False: it has been dealt with, and the descriptor is to
  /// be closed.
  using Admit = std::function<bool(int fd)>;

  /// The loops must outlive it. Pre: at least one.
  Acceptor(std::vector<Loop*> loops, Listener listener, Admit admit, OnAccept on_accept);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  [[nodiscard]] Loop& loop() noexcept { return *loops_.front(); }
  /// On the first loop.
  void wait();
  void stop();

 private:
  void accept_ready();
  void back_off(int number);
  void place(int fd);
  void hand_over(std::size_t to, int fd);

  std::vector<Loop*> loops_;
  std::optional<Listener> listener_;
  const Admit admit_;
  const OnAccept on_accept_;
  const bool is_unix_;
  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> descriptor_;
  Timer retry_;
  std::size_t next_ = 0;
  bool failing_ = false;
};

}  // namespace llmd::net
