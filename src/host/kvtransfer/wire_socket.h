#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "base/error.h"
#include "kvstore/file_descriptor.h"
#include "net/resolve.h"
#include "net/stream.h"
#include "runtime/deadline.h"
#include "runtime/loop.h"

namespace llmd::kvtransfer {

/// One connection as bytes, beside which a file descriptor may travel (unix sockets). Unlike net::Stream it reads
/// straight into the caller's memory and keeps no buffer, since most bytes are blocks. Belongs to one loop; one
/// coroutine uses it at a time.
class WireSocket {
 public:
  WireSocket(Loop& loop, net::Socket socket);
  WireSocket(const WireSocket&) = delete;
  WireSocket& operator=(const WireSocket&) = delete;

  /// Errors of these three: kConnectionRefused (connect), kConnectionClosed, kDeadlineExceeded, kCancelled.
  [[nodiscard]] Task<Result<void>> connect(net::Endpoint to);
  /// Sends all of `pieces`, which it shortens, and with the first byte `passed_fd`, if that is not negative.
  [[nodiscard]] Task<Result<void>> send(std::span<iovec> pieces, int passed_fd);
  /// At least one byte. Pre: `to` is not empty.
  [[nodiscard]] Task<Result<std::size_t>> receive(std::span<std::byte> to);

  /// From now on receive() keeps the last descriptor that comes; without this the kernel throws them away.
  void accept_passed_fd() noexcept { accepts_fd_ = true; }
  [[nodiscard]] kvstore::FileDescriptor take_passed_fd() noexcept { return std::move(passed_); }

  /// Lets the loop's other work go on once this and earlier calls add up to some work. send() and receive() count, too.
  [[nodiscard]] Task<void> take_turns(std::size_t bytes);

  /// Waits end with kDeadlineExceeded when `due` passes; `wait` names them in the error and must live as long.
  void set_deadline(TimePoint due, std::string_view wait);
  /// All waits, the present one and later ones, end with kCancelled.
  void cancel();
  /// Open, and the peer has sent nothing since the last receive().
  [[nodiscard]] bool is_quiet() noexcept;

 private:
  [[nodiscard]] std::optional<Error> interruption() const;
  [[nodiscard]] Result<std::optional<std::size_t>> receive_now(std::span<std::byte> to);
  [[nodiscard]] Result<std::size_t> send_now(std::span<iovec> pieces, int passed_fd) noexcept;
  void keep_passed_fd(msghdr& message) noexcept;

  net::Socket socket_;
  Deadline deadline_;
  std::string_view wait_ = "the peer";
  kvstore::FileDescriptor passed_;
  std::size_t since_turn_ = 0;  // bytes and calls that did not wait
  bool accepts_fd_ = false;
  bool expired_ = false;
  bool cancelled_ = false;
};

}  // namespace llmd::kvtransfer
