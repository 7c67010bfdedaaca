#include "net/stream.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <cerrno>
#include <cstring>

namespace llmd::net {
namespace {

constexpr std::size_t kWriteProgressBytes = 16 * 1024;

/// Shortens `pieces` by so many bytes that are sent.
void advance(std::span<iovec>& pieces, std::size_t bytes) noexcept {
  while (!pieces.empty() && bytes >= pieces.front().iov_len) {
    bytes -= pieces.front().iov_len;
    pieces = pieces.subspan(1);
  }
  if (pieces.empty()) return;
  pieces.front().iov_base = static_cast<char*>(pieces.front().iov_base) + bytes;
  pieces.front().iov_len -= bytes;
}

}  // namespace

/// Completion of the pending read. If the loop is destroyed instead, it takes the waiting coroutine with it: that
/// coroutine usually keeps the stream alive, so nobody else would.
struct Stream::ReadHandler {
  explicit ReadHandler(std::shared_ptr<Stream> to) : stream{std::move(to)} {}
  ReadHandler(ReadHandler&&) = default;
  ReadHandler& operator=(ReadHandler&&) = delete;
  ~ReadHandler() {
    if (stream) stream->waiter_ = nullptr;
  }
  void operator()(const boost::system::error_code& error, std::size_t bytes) {
    const std::shared_ptr<Stream> self = std::move(stream);
    self->on_read(error, bytes);
  }
  std::shared_ptr<Stream> stream;
};

Stream::Stream(Loop& loop, Socket socket, Options options)
    : options_{options},
      socket_{std::move(socket)},
      deadline_{loop.executor(), [this] { interrupt(Interrupt::kExpired); }} {}

Stream::~Stream() = default;

void Stream::make_room() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  const bool wants_more = capacity_ == 0 || end_ == capacity_ || std::exchange(grow_, false);
  if (!wants_more || capacity_ >= options_.buffer_bytes_max) return;
  const std::size_t larger = std::clamp(capacity_ * 2, options_.buffer_bytes, options_.buffer_bytes_max);
  auto grown = std::make_unique_for_overwrite<char[]>(larger);
  std::copy_n(buffer_.get(), end_, grown.get());
  buffer_ = std::move(grown);
  capacity_ = larger;
}

void Stream::start_read() {
  if (reading_ || ended_ || interrupt_ == Interrupt::kClosed) return;
  make_room();
  if (end_ == capacity_) return;
  reading_ = true;
  if (tls_) {
    wait_readable();
  } else {
    socket_.async_read_some(asio::buffer(buffer_.get() + end_, capacity_ - end_), ReadHandler{shared_from_this()});
  }
}

void Stream::wait_readable() {
  auto read = [handler = ReadHandler{shared_from_this()}](const boost::system::error_code& error = {}) mutable {
    Stream& self = *handler.stream;
    self.read_tls(std::move(handler), error);
  };
  if (tls_->has_more()) {
    asio::post(socket_.get_executor(), std::move(read));
  } else {
    socket_.async_wait(Socket::wait_read, std::move(read));
  }
}

/// The socket has something to read, which may be less than what can be decrypted.
void Stream::read_tls(ReadHandler handler, const boost::system::error_code& error) {
  using State = TlsSession::State;
  if (error || interrupt_ == Interrupt::kClosed) return handler(asio::error::operation_aborted, 0);
  const auto [state, bytes] = tls_->read(buffer_.get() + end_, capacity_ - end_);
  if (bytes > 0) return handler({}, bytes);
  if (state == State::kEnded) return handler(asio::error::eof, 0);
  if (state == State::kBroken) return handler(asio::error::connection_reset, 0);
  if (interrupt_ != Interrupt::kNone) return handler(asio::error::operation_aborted, 0);
  const auto event = state == State::kWantsWrite ? Socket::wait_write : Socket::wait_read;
  socket_.async_wait(event, [handler = std::move(handler)](const boost::system::error_code& failed) mutable {
    Stream& self = *handler.stream;
    self.read_tls(std::move(handler), failed);
  });
}

void Stream::on_read(const boost::system::error_code& error, std::size_t bytes) {
  reading_ = false;
  end_ += bytes;
  grow_ = end_ == capacity_;
  // An aborted read is an interrupt, not the end of the input.
  if (error && error != asio::error::operation_aborted) {
    ended_ = true;
    broken_ = error != asio::error::eof;
  }
  if (waiter_) {
    auto resume = std::exchange(waiter_, nullptr);
    resume();
  } else if (on_input_) {
    on_input_();
  }
}

Task<void> Stream::wait_input() {
  return asio::async_initiate<const asio::use_awaitable_t<asio::io_context::executor_type>&, void()>(
      [this](auto handler) {
        if (interrupt_ == Interrupt::kNone) start_read();
        if (reading_) {
          waiter_ = std::move(handler);
        } else {
          asio::post(socket_.get_executor(), std::move(handler));
        }
      },
      use_task);
}

std::ptrdiff_t Stream::read_now(char* to, std::size_t bytes_max) noexcept {
  if (ended_ || interrupt_ == Interrupt::kClosed) return 0;
  if (tls_) {
    const auto [state, got] = tls_->read(to, bytes_max);
    ended_ = got == 0 && (state == TlsSession::State::kEnded || state == TlsSession::State::kBroken);
    broken_ = ended_ && state == TlsSession::State::kBroken;
    return got == 0 && !ended_ ? -1 : static_cast<std::ptrdiff_t>(got);
  }
  const ssize_t bytes = ::recv(socket_.native_handle(), to, bytes_max, MSG_DONTWAIT);
  if (bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return -1;
  if (bytes <= 0) {
    ended_ = true;
    broken_ = bytes < 0;
  }
  return std::max<ssize_t>(bytes, 0);
}

Result<bool> Stream::try_write_tls(std::span<iovec>& pieces) noexcept {
  while (!pieces.empty()) {
    if (interrupt_ == Interrupt::kClosed) return std::unexpected(interrupt_error("write"));
    const auto [state, bytes] = tls_->write(pieces);
    if (state == TlsSession::State::kWantsWrite) return false;
    if (state == TlsSession::State::kBroken)
      return fail(ErrorCode::kConnectionClosed, fmt::format("the TLS connection ended: {}", tls_->failure()));
    advance(pieces, bytes);
  }
  return true;
}

Result<bool> Stream::try_write(std::span<iovec>& pieces) noexcept {
  if (tls_) return try_write_tls(pieces);
  while (!pieces.empty()) {
    if (interrupt_ == Interrupt::kClosed) return std::unexpected(interrupt_error("write"));
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = pieces.size();
    const ssize_t written = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
      return fail(ErrorCode::kConnectionClosed,
                  fmt::format("the peer closed the connection: {}", std::strerror(errno)));
    }
    advance(pieces, static_cast<std::size_t>(written));
  }
  return true;
}

Task<Result<void>> Stream::write(std::span<iovec> pieces, Duration stall_max) {
  const auto bytes_of = [](std::span<const iovec> of) {
    std::size_t bytes = 0;
    for (const iovec& piece : of) bytes += piece.iov_len;
    return bytes;
  };
  std::size_t left_at_mark = 0;
  while (true) {
    LLMD_CO_TRY(const bool complete, try_write(pieces));
    if (complete) break;
    const std::size_t left = bytes_of(pieces);
    if (left_at_mark == 0 || left + kWriteProgressBytes <= left_at_mark) {
      left_at_mark = left;
      set_deadline(SteadyClock::now() + stall_max);
    }
    if (interrupt_ == Interrupt::kNone) {
      [[maybe_unused]] const auto [error] = co_await socket_.async_wait(Socket::wait_write, asio::as_tuple(use_task));
    }
    if (interrupt_ != Interrupt::kNone) co_return std::unexpected(interrupt_error("write: the peer does not read"));
  }
  if (left_at_mark != 0) clear_deadline();
  co_return Result<void>{};
}

Task<Result<void>> Stream::connect(const asio::generic::stream_protocol::endpoint& endpoint) {
  if (interrupt_ == Interrupt::kNone) {
    const auto [error] = co_await socket_.async_connect(endpoint, asio::as_tuple(use_task));
    if (!error) co_return Result<void>{};
    if (interrupt_ == Interrupt::kNone) co_return fail(ErrorCode::kConnectionRefused, error.message());
  }
  co_return std::unexpected(interrupt_error("connect"));
}

Task<Result<void>> Stream::handshake(std::unique_ptr<TlsSession> tls) {
  using State = TlsSession::State;
  if (!tls) co_return fail(ErrorCode::kInternal, "no TLS connection can be made");
  if (interrupt_ == Interrupt::kNone) {
    tls_ = std::move(tls);
    tls_->attach(socket_.native_handle());
  }
  while (interrupt_ == Interrupt::kNone) {
    const State state = tls_->handshake();
    if (state == State::kDone) co_return Result<void>{};
    if (state == State::kEnded || state == State::kBroken)
      co_return fail(ErrorCode::kProtocol, fmt::format("no TLS connection: {}", tls_->failure()));
    const auto event = state == State::kWantsWrite ? Socket::wait_write : Socket::wait_read;
    [[maybe_unused]] const auto [error] = co_await socket_.async_wait(event, asio::as_tuple(use_task));
  }
  co_return std::unexpected(interrupt_error("the TLS handshake"));
}

void Stream::set_deadline(TimePoint due) {
  if (interrupt_ == Interrupt::kExpired) interrupt_ = Interrupt::kNone;
  deadline_.set(due);
}

void Stream::interrupt(Interrupt reason) {
  if (interrupt_ == Interrupt::kClosed || (interrupt_ == Interrupt::kCancelled && reason == Interrupt::kExpired))
    return;
  interrupt_ = reason;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

Error Stream::interrupt_error(std::string_view wait) const {
  if (interrupt_ == Interrupt::kExpired) {
    return Error{.code = ErrorCode::kDeadlineExceeded, .what = fmt::format("deadline passed in {}", wait)};
  }
  if (interrupt_ == Interrupt::kCancelled) {
    return Error{.code = ErrorCode::kCancelled, .what = fmt::format("cancelled in {}", wait)};
  }
  return Error{.code = ErrorCode::kConnectionClosed, .what = fmt::format("connection closed by this side in {}", wait)};
}

void Stream::shut_down_output() noexcept {
  if (tls_) tls_->end();
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Stream::close() {
  interrupt_ = Interrupt::kClosed;
  deadline_.clear();
  if (tls_) {
    tls_->end();
    tls_->detach();
  }
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace llmd::net
