#include "net/h2_link.h"

#include <utility>

namespace llmd::net {
namespace {

[[nodiscard]] std::size_t bytes_of(std::span<const iovec> pieces) {
  std::size_t bytes = 0;
  for (const iovec& piece : pieces) bytes += piece.iov_len;
  return bytes;
}

}  // namespace

H2Link::H2Link(Loop& loop, std::shared_ptr<Stream> stream, std::string peer, const H2LinkOptions& options)
    : loop_{loop},
      stream_{std::move(stream)},
      peer_{std::move(peer)},
      options_{options},
      watch_timer_{std::make_shared<Timer>(loop.executor())} {}

void H2Link::flush() {
  if (std::exchange(flushing_, true)) return;
  loop_.post([self = shared_from_this()] { self->send(); });
}

// What streams do about their input runs within the connection's own turn, and so do the answers go out: a turn of the
// loop each would cost a system call each.
void H2Link::soon(std::move_only_function<void()> action) {
  if (receiving_) {
    ready_.push_back(std::move(action));
  } else {
    loop_.post(std::move(action));
  }
}

Task<void> H2Link::run(std::shared_ptr<H2Link> self) {
  self->running_ = true;
  self->loop_.spawn(watch(self, self->watch_timer_));
  self->flush();
  while (!self->stream_->ended() && self->stream_->interrupted() == Stream::Interrupt::kNone) {
    co_await self->stream_->wait_input();
    if (!self->take_input()) break;
  }
  self->close();
}

void H2Link::close() {
  watch_timer_->cancel();
  stream_->close();
  session().close();
}

/// False: it is over.
bool H2Link::take_input() {
  const std::string_view input = stream_->input();
  if (input.empty()) return true;
  heard_ = true;
  receiving_ = true;
  const bool posted = std::exchange(flushing_, true);  // it is sent below
  const auto received = session().receive(input);
  receiving_ = false;
  stream_->consume(input.size());
  for (auto& action : std::exchange(ready_, {})) action();
  flushing_ = posted;
  if (!received) {
    if (!writing_) send_now();  // says why
    return false;
  }
  if (!posted) send();
  return !session().done();
}

void H2Link::send() {
  flushing_ = false;
  if (running_ && !writing_ && !send_now()) {
    writing_ = true;
    loop_.spawn(write(shared_from_this()));
  }
}

/// False: the socket takes no more now.
bool H2Link::send_now() {
  while (stream_->interrupted() == Stream::Interrupt::kNone) {
    std::vector<iovec> pieces = session().output();
    if (pieces.empty()) break;
    std::span<iovec> left{pieces};
    const std::size_t bytes = bytes_of(left);
    const auto all = stream_->try_write(left);
    if (!all) {
      stream_->interrupt(Stream::Interrupt::kCancelled);  // ends run()
      break;
    }
    session().sent(bytes - bytes_of(left));
    if (!*all) return false;
  }
  return true;
}

Task<void> H2Link::write(std::shared_ptr<H2Link> self) {
  while (self->stream_->interrupted() == Stream::Interrupt::kNone) {
    std::vector<iovec> pieces = self->session().output();
    if (pieces.empty()) break;
    const std::size_t bytes = bytes_of(pieces);
    const auto written = co_await self->stream_->write(pieces, self->options_.write_timeout);
    if (!written) {
      self->stream_->interrupt(Stream::Interrupt::kCancelled);
      break;
    }
    self->session().sent(bytes);
  }
  self->writing_ = false;
}

/// Asks a peer that is silent whether it lives.
Task<void> H2Link::watch(std::weak_ptr<H2Link> weak, std::shared_ptr<Timer> timer) {
  while (true) {
    Duration interval{};
    if (const auto self = weak.lock()) interval = self->options_.ping_interval;
    boost::system::error_code ended;
    timer->expires_after(interval);
    co_await timer->async_wait(asio::redirect_error(use_task, ended));
    if (ended) co_return;
    std::uint64_t pongs = 0;
    Duration timeout{};
    {
      const auto self = weak.lock();
      if (!self || self->stream_->interrupted() != Stream::Interrupt::kNone) co_return;
      const bool idle = self->session().streams() == 0;
      if (std::exchange(self->heard_, false) || (idle && !self->options_.pings_idle)) continue;
      pongs = self->session().pongs();
      timeout = self->options_.ping_timeout;
      self->session().ping();
      self->flush();
    }
    timer->expires_after(timeout);
    co_await timer->async_wait(asio::redirect_error(use_task, ended));
    const auto self = weak.lock();
    if (ended || !self) co_return;
    if (self->session().pongs() == pongs && !self->heard_) self->stream_->interrupt(Stream::Interrupt::kCancelled);
  }
}

}  // namespace llmd::net
