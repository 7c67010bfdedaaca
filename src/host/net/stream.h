#pragma once

#include <sys/uio.h>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "base/error.h"
#include "net/tls_session.h"
#include "runtime/deadline.h"
#include "runtime/loop.h"

namespace llmd::net {

using Socket = asio::basic_stream_socket<asio::generic::stream_protocol, asio::io_context::executor_type>;

/// One connection as bytes, TCP or unix, plain or TLS: an input buffer, at most one read that may stay pending while
/// nobody waits for it (so that a close of the peer is seen at once, and the next message costs no extra call),
/// gathered writes, one movable deadline. Belongs to one loop. Pending operations keep it alive.
class Stream : public std::enable_shared_from_this<Stream> {
 public:
  /// Why waits end early. Expired stays until the next set_deadline(); the other two stay for good.
  enum class Interrupt : std::uint8_t { kNone, kExpired, kCancelled, kClosed };

  /// The buffer starts with `buffer_bytes` (on the first read) and doubles up to `buffer_bytes_max` when reads fill it.
  struct Options {
    std::size_t buffer_bytes = 4 * 1024;
    std::size_t buffer_bytes_max = 64 * 1024;
  };
  Stream(Loop& loop, Socket socket, Options options);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// What came and was not consumed. Valid until the next consume(), start_read() or wait.
  [[nodiscard]] std::string_view input() const noexcept { return {buffer_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t bytes) noexcept { begin_ += bytes; }
  /// The peer sent its last byte, or the connection broke. input() may still hold bytes.
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  /// ended() by an error such as a reset, not by an orderly close.
  [[nodiscard]] bool broken() const noexcept { return broken_; }
  /// Whether a read is pending; its bytes go to input(), so read_now() must not be used.
  [[nodiscard]] bool reading() const noexcept { return reading_; }
  /// No room for more input.
  [[nodiscard]] bool full() const noexcept { return end_ - begin_ >= options_.buffer_bytes_max; }

  /// Makes a read pending if none is and there is room.
  void start_read();
  /// Called when a pending read ends while no coroutine waits for it; nullptr for none.
  void on_input(std::move_only_function<void()> callback) { on_input_ = std::move(callback); }
  /// Resumes when input() has grown, or the input has ended, or the wait was interrupted. One waiter at a time.
  [[nodiscard]] Task<void> wait_input();
  /// Reads past the buffer without waiting: bytes read, 0 at the end of input, -1 if there is nothing yet.
  /// Pre: !reading() and input() is empty.
  [[nodiscard]] std::ptrdiff_t read_now(char* to, std::size_t bytes_max) noexcept;

  /// Sends what the socket takes now and shortens `pieces` by it. True if that is all; else what is sent next must
  /// begin with what is left. Error kConnectionClosed.
  [[nodiscard]] Result<bool> try_write(std::span<iovec>& pieces) noexcept;
  /// Sends all. The peer must take 16 KiB, or the rest, in each `stall_max`. Errors: kConnectionClosed,
  /// kDeadlineExceeded, kCancelled.
  [[nodiscard]] Task<Result<void>> write(std::span<iovec> pieces, Duration stall_max);
  /// Connects an unconnected socket. Errors: kConnectionRefused, kDeadlineExceeded, kCancelled.
  [[nodiscard]] Task<Result<void>> connect(const asio::generic::stream_protocol::endpoint& endpoint);
  /// From here on the connection is TLS. Before any read or write. Errors: kProtocol (with the reason),
  /// kDeadlineExceeded, kCancelled.
  [[nodiscard]] Task<Result<void>> handshake(std::unique_ptr<TlsSession> tls);

  /// Interrupts waits with kExpired when `due` passes.
  void set_deadline(TimePoint due);
  void clear_deadline() noexcept { deadline_.clear(); }
  void interrupt(Interrupt reason);
  [[nodiscard]] Interrupt interrupted() const noexcept { return interrupt_; }

  /// Tells the peer that nothing more comes.
  void shut_down_output() noexcept;
  void close();
  [[nodiscard]] Socket& socket() noexcept { return socket_; }

 private:
  struct ReadHandler;
  void wait_readable();
  void read_tls(ReadHandler handler, const boost::system::error_code& error);
  [[nodiscard]] Result<bool> try_write_tls(std::span<iovec>& pieces) noexcept;
  void on_read(const boost::system::error_code& error, std::size_t bytes);
  void make_room();
  [[nodiscard]] Error interrupt_error(std::string_view wait) const;

  Options options_;
  Socket socket_;
  std::unique_ptr<TlsSession> tls_;  // null: plain
  Deadline deadline_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool reading_ = false;
  bool grow_ = false;  // the last read filled the buffer
  bool ended_ = false;
  bool broken_ = false;
  Interrupt interrupt_ = Interrupt::kNone;
  std::move_only_function<void()> waiter_;
  std::move_only_function<void()> on_input_;
};

[[nodiscard]] inline iovec piece_of(std::string_view text) noexcept {
  return {.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
}

}  // namespace llmd::net
