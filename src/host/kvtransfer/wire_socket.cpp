#include "kvtransfer/wire_socket.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

namespace llmd::kvtransfer {
namespace {

constexpr std::size_t kTurnBytes = std::size_t{1} << 20U;  // then other work of the loop has its turn
constexpr std::size_t kCallBytes = 4U << 10U;              // what a call without bytes would cost
constexpr std::size_t kPiecesMax = 64;                     // of one system call; the kernel takes 1,024

/// Room for one descriptor; more than that are closed by the kernel.
union ControlBuffer {
  cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

bool would_block(int number) noexcept { return number == EAGAIN || number == EWOULDBLOCK; }

std::unexpected<Error> closed(std::string_view how) {
  return fail(ErrorCode::kConnectionClosed, fmt::format("the peer closed the connection: {}", how));
}

/// Messages are small and each one is waited for.
void send_at_once(net::Socket& socket) noexcept {
  const int on = 1;
  ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // refused for unix sockets
}

}  // namespace

WireSocket::WireSocket(Loop& loop, net::Socket socket)
    : socket_{std::move(socket)}, deadline_{loop.executor(), [this] {
                                              expired_ = true;
                                              boost::system::error_code ignored;
                                              socket_.cancel(ignored);
                                            }} {
  if (socket_.is_open()) send_at_once(socket_);
}

std::optional<Error> WireSocket::interruption() const {
  if (cancelled_) return Error{.code = ErrorCode::kCancelled, .what = fmt::format("cancelled while in {}", wait_)};
  if (!expired_) return std::nullopt;
  return Error{.code = ErrorCode::kDeadlineExceeded, .what = fmt::format("deadline passed in {}", wait_)};
}

void WireSocket::set_deadline(TimePoint due, std::string_view wait) {
  expired_ = false;
  wait_ = wait;
  deadline_.set(due);
}

void WireSocket::cancel() {
  cancelled_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

bool WireSocket::is_quiet() noexcept {
  char byte = 0;
  return socket_.is_open() && ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
         would_block(errno);
}

/// A peer that is always ready must not keep the loop, nor the timer of the deadline, from their work.
Task<void> WireSocket::take_turns(std::size_t bytes) {
  since_turn_ += bytes + kCallBytes;
  if (since_turn_ < kTurnBytes) co_return;
  since_turn_ = 0;
  co_await asio::post(socket_.get_executor(), use_task);
}

Task<Result<void>> WireSocket::connect(net::Endpoint to) {
  if (auto stop = interruption()) co_return std::unexpected(*std::move(stop));
  boost::system::error_code ignored;
  socket_.close(ignored);  // an earlier try of another address
  const auto [error] = co_await socket_.async_connect(to, asio::as_tuple(use_task));
  if (auto stop = interruption()) co_return std::unexpected(*std::move(stop));
  if (error) co_return fail(ErrorCode::kConnectionRefused, error.message());
  send_at_once(socket_);
  co_return Result<void>{};
}

Result<std::size_t> WireSocket::send_now(std::span<iovec> pieces, int passed_fd) noexcept {
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = std::min(pieces.size(), kPiecesMax);
  ControlBuffer control{};
  if (passed_fd >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof passed_fd);
    std::memcpy(CMSG_DATA(header), &passed_fd, sizeof passed_fd);
  }
  while (true) {
    const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (would_block(errno)) return std::size_t{0};
    if (errno != EINTR) return closed(std::strerror(errno));
  }
}

Task<Result<void>> WireSocket::send(std::span<iovec> pieces, int passed_fd) {
  while (!pieces.empty()) {
    if (auto stop = interruption()) co_return std::unexpected(*std::move(stop));
    LLMD_CO_TRY(std::size_t sent, send_now(pieces, passed_fd));
    if (sent == 0) {
      [[maybe_unused]] const auto [error] =
          co_await socket_.async_wait(net::Socket::wait_write, asio::as_tuple(use_task));
      continue;
    }
    passed_fd = -1;
    co_await take_turns(sent);
    while (!pieces.empty() && sent >= pieces.front().iov_len) {
      sent -= pieces.front().iov_len;
      pieces = pieces.subspan(1);
    }
    if (sent == 0) continue;
    pieces.front().iov_base = static_cast<char*>(pieces.front().iov_base) + sent;
    pieces.front().iov_len -= sent;
  }
  co_return Result<void>{};
}

void WireSocket::keep_passed_fd(msghdr& message) noexcept {
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  const bool passed = header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
                      header->cmsg_len >= CMSG_LEN(sizeof(int));
  if (!passed) return;
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  passed_ = kvstore::FileDescriptor{fd};
}

/// Nothing: nothing is there yet.
Result<std::optional<std::size_t>> WireSocket::receive_now(std::span<std::byte> to) {
  iovec piece{.iov_base = to.data(), .iov_len = to.size()};
  ControlBuffer control{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (accepts_fd_) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
  }
  while (true) {
    const ssize_t received = ::recvmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0 && would_block(errno)) return std::nullopt;
    if (received < 0) return closed(std::strerror(errno));
    if (received == 0) return closed("end of stream");
    if (accepts_fd_) keep_passed_fd(message);
    return static_cast<std::size_t>(received);
  }
}

Task<Result<std::size_t>> WireSocket::receive(std::span<std::byte> to) {
  while (true) {
    if (auto stop = interruption()) co_return std::unexpected(*std::move(stop));
    LLMD_CO_TRY(const std::optional<std::size_t> received, receive_now(to));
    if (received) {
      co_await take_turns(*received);
      co_return *received;
    }
    [[maybe_unused]] const auto [error] = co_await socket_.async_wait(net::Socket::wait_read, asio::as_tuple(use_task));
  }
}

}  // namespace llmd::kvtransfer
