#include "net/acceptor.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "telemetry/log.h"

namespace llmd::net {
namespace {

constexpr Duration kAcceptBackoff = milliseconds{50};
constexpr int kAcceptsInARow = 64;

}  // namespace

Acceptor::Acceptor(std::vector<Loop*> loops, Listener listener, Admit admit, OnAccept on_accept)
    : loops_{std::move(loops)},
      listener_{std::move(listener)},
      admit_{std::move(admit)},
      on_accept_{std::move(on_accept)},
      is_unix_{listener_->address().is_unix()},
      descriptor_{loops_.front()->executor(), listener_->fd()},
      retry_{loops_.front()->executor()} {}

Acceptor::~Acceptor() {
  if (descriptor_.is_open()) descriptor_.release();  // the listener closes it
}

void Acceptor::wait() {
  if (!descriptor_.is_open()) return;
  descriptor_.async_wait(asio::posix::descriptor_base::wait_read,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           if (!error) self->accept_ready();
                         });
}

void Acceptor::stop() {
  retry_.cancel();
  if (!descriptor_.is_open()) return;
  descriptor_.release();
  listener_.reset();
}

void Acceptor::accept_ready() {
  for (int i = 0; i < kAcceptsInARow && descriptor_.is_open(); ++i) {
    const int fd = ::accept4(listener_->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      place(fd);
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) break;
    if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO) continue;
    back_off(errno);
    return;
  }
  wait();
}

/// Out of descriptors or memory: connections wait in the kernel's queue, those that are open go on.
void Acceptor::back_off(int number) {
  if (!std::exchange(failing_, true)) {
    log::error("accept on {} fails and is tried again: {}", listener_->address().to_string(), std::strerror(number));
  }
  retry_.expires_after(kAcceptBackoff);
  retry_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->accept_ready();
  });
}

void Acceptor::place(int fd) {
  failing_ = false;
  if (!admit_(fd)) {
    ::close(fd);
    return;
  }
  const std::size_t to = next_++ % loops_.size();
  if (to == 0) {
    hand_over(to, fd);
  } else {
    loops_[to]->post([self = shared_from_this(), to, fd] { self->hand_over(to, fd); });
  }
}

void Acceptor::hand_over(std::size_t to, int fd) {
  std::string peer = peer_name(fd);
  if (!is_unix_) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  Socket socket{loops_[to]->executor()};
  boost::system::error_code error;
  socket.assign(asio::generic::stream_protocol{is_unix_ ? AF_UNIX : AF_INET, 0}, fd, error);
  if (error) ::close(fd);
  on_accept_(to, std::move(socket), std::move(peer));
}

}  // namespace llmd::net
