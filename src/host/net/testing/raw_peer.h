#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "net/address.h"

namespace llmd::testkit {

/// One end of a connection that a test drives step by step with blocking calls, each bounded by 10 s. Use it from a
/// thread other than the loop's. Failures show as empty or short results, so that the test's expectation names them.
class RawConnection {
 public:
  explicit RawConnection(int fd = -1) noexcept : fd_{fd} {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // each send() of a test goes out by itself
  }
  RawConnection(RawConnection&& other) noexcept : fd_{std::exchange(other.fd_, -1)}, read_{std::move(other.read_)} {}
  RawConnection& operator=(RawConnection&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(read_, other.read_);
    return *this;
  }
  ~RawConnection() { close(); }

  [[nodiscard]] static RawConnection connect(const net::Address& address) {
    sockaddr_in tcp{};
    tcp.sin_family = AF_INET;
    tcp.sin_port = htons(address.port);
    tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 tcp6{};
    tcp6.sin6_family = AF_INET6;
    tcp6.sin6_port = tcp.sin_port;
    tcp6.sin6_addr = in6addr_loopback;
    if (address.host == "::1") return connect_to(AF_INET6, reinterpret_cast<const sockaddr*>(&tcp6), sizeof tcp6);
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    std::strncpy(local.sun_path, address.unix_path.c_str(), sizeof local.sun_path - 1);
    if (address.is_unix()) return connect_to(AF_UNIX, reinterpret_cast<const sockaddr*>(&local), sizeof local);
    return connect_to(AF_INET, reinterpret_cast<const sockaddr*>(&tcp), sizeof tcp);
  }

  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }

  /// False if the peer is gone or does not read for 10 s.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      if (!ready(POLLOUT)) return false;
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno == EAGAIN) continue;
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  /// Whether there is something to read, or the peer closes, within `wait`.
  [[nodiscard]] bool readable(std::chrono::milliseconds wait) const {
    pollfd ready_now{.fd = fd_, .events = POLLIN, .revents = 0};
    return ::poll(&ready_now, 1, static_cast<int>(wait.count())) == 1;
  }
  /// All up to and with `mark`; what came so far if it does not come.
  std::string read_until(std::string_view mark) {
    std::size_t at = read_.find(mark);
    while (at == std::string::npos && read_more()) at = read_.find(mark);
    return take(at == std::string::npos ? read_.size() : at + mark.size());
  }
  std::string read_bytes(std::size_t count) {
    while (read_.size() < count && read_more()) {
    }
    return take(std::min(count, read_.size()));
  }
  /// All until the peer closes.
  std::string read_to_end() {
    while (read_more()) {
    }
    return take(read_.size());
  }
  /// A message with a Content-Length: head and body.
  std::string read_message() {
    std::string message = read_until("\r\n\r\n");
    const std::size_t at = message.find("Content-Length: ");
    if (at != std::string::npos) message += read_bytes(std::stoul(message.substr(at + 16)));
    return message;
  }
  /// Whether the peer closes (or resets) within 10 s; drops what it sends before.
  bool closed_by_peer() {
    while (read_more()) {
    }
    return ended_;
  }

  /// A close with SO_LINGER 0: the peer sees a reset.
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void shut_down_output() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  static RawConnection connect_to(int family, const sockaddr* to, socklen_t size) {
    const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, to, size) == 0) return RawConnection{fd};
    ::close(fd);
    return RawConnection{};
  }

  static constexpr int kWaitMs = 10'000;
  bool ready(short events) const {
    pollfd wait{.fd = fd_, .events = events, .revents = 0};
    return fd_ >= 0 && ::poll(&wait, 1, kWaitMs) == 1;
  }
  bool read_more() {
    if (!ready(POLLIN)) return false;
    char piece[16 * 1024];
    const ssize_t bytes = ::recv(fd_, piece, sizeof piece, 0);
    ended_ = bytes <= 0;
    if (ended_) return false;
    read_.append(piece, static_cast<std::size_t>(bytes));
    return true;
  }
  std::string take(std::size_t count) {
    std::string out = read_.substr(0, count);
    read_.erase(0, count);
    return out;
  }

  int fd_;
  std::string read_;
  bool ended_ = false;
};

/// An upstream that a test drives step by step: it listens on loopback, and answers nothing that the test does not
/// send.
class RawPeer {
 public:
  RawPeer() {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof to;
    ::bind(fd_, reinterpret_cast<const sockaddr*>(&to), length);
    ::listen(fd_, 64);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&to), &length);
    address_ = net::Address{.host = "127.0.0.1", .port = ntohs(to.sin_port), .unix_path = {}};
  }
  ~RawPeer() { stop_listening(); }
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  [[nodiscard]] const net::Address& address() const noexcept { return address_; }
  /// The next connection; one that is not open if none comes within `wait`.
  [[nodiscard]] RawConnection accept(std::chrono::milliseconds wait = std::chrono::seconds{10}) const {
    pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, static_cast<int>(wait.count())) != 1) return RawConnection{};
    return RawConnection{::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)};
  }
  /// From now on connections are refused.
  void stop_listening() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
  net::Address address_;
};

}  // namespace llmd::testkit
