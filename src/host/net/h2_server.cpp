#include "net/h2_server.h"

#include <unistd.h>

#include <atomic>
#include <mutex>
#include <unordered_set>
#include <utility>

#include "net/acceptor.h"
#include "net/listener.h"
#include "net/stream.h"
#include "telemetry/log.h"

namespace llmd::net {
namespace {

constexpr milliseconds kDrainNotice{1'000};  // before the last stream is named
constexpr Stream::Options kBuffer{.buffer_bytes = 16 * 1024, .buffer_bytes_max = 256 * 1024};

struct Shared {
  H2ServerOptions options;
  H2Server::OnRequest on_request;
  std::atomic<std::size_t> connections{0};
  std::atomic<bool> draining{false};
};

class Connection;
/// The connections that live on one loop; touched only there.
using ConnectionSet = std::unordered_set<Connection*>;

class Connection final : public H2Connection, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Loop& loop, Socket socket, std::string peer, std::shared_ptr<Shared> shared,
             std::shared_ptr<ConnectionSet> set)
      : loop_{loop},
        stream_{std::make_shared<Stream>(loop, std::move(socket), kBuffer)},
        peer_{std::move(peer)},
        shared_{std::move(shared)},
        set_{std::move(set)},
        session_{shared_->options.limits,
                 [this](H2StreamId id, Request head) {
                   head.peer = peer_;
                   return shared_->on_request(shared_from_this(), id, std::move(head));
                 }},
        watch_timer_{std::make_shared<Timer>(loop.executor())} {
    set_->insert(this);
  }
  ~Connection() override {
    set_->erase(this);
    shared_->connections.fetch_sub(1);
  }

  [[nodiscard]] Loop& loop() noexcept override { return loop_; }
  [[nodiscard]] const std::string& peer() const noexcept override { return peer_; }
  [[nodiscard]] H2Session& session() noexcept override { return session_; }

  void flush() override {
    if (std::exchange(flushing_, true)) return;
    loop_.post([self = shared_from_this()] { self->send(); });
  }

  // What streams do about their input runs within the connection's own turn, and so do the answers go out: a turn of
  // the loop each would cost a system call each.
  void soon(std::move_only_function<void()> action) override {
    if (receiving_) {
      ready_.push_back(std::move(action));
    } else {
      loop_.post(std::move(action));
    }
  }

  static Task<void> run(std::shared_ptr<Connection> self) {
    const bool begun = co_await self->begin();
    if (!begun) {
      self->close();
      co_return;
    }
    self->loop_.spawn(watch(self, self->watch_timer_));
    if (self->shared_->draining) self->session_.go_away();
    self->flush();
    while (!self->stream_->ended() && self->stream_->interrupted() == Stream::Interrupt::kNone) {
      co_await self->stream_->wait_input();
      if (!self->take_input()) break;
    }
    self->close();
  }

  /// Streams that the peer opens before it has heard of it are served, too.
  void drain() {
    session_.announce_go_away();
    flush();
    loop_.spawn([](std::weak_ptr<Connection> weak) -> Task<void> {
      co_await sleep_for(kDrainNotice);
      if (const auto self = weak.lock()) {
        self->session_.go_away();
        self->flush();
      }
    }(weak_from_this()));
  }
  void close() {
    watch_timer_->cancel();
    stream_->close();
    session_.close();
  }

 private:
  /// False: there is no TLS connection.
  Task<bool> begin() {
    const auto& tls = shared_->options.tls;
    begun_ = !tls;
    if (!tls) co_return true;
    auto session = tls->session(TlsProtocol::kHttp2);
    stream_->set_deadline(SteadyClock::now() + tls->options().handshake_timeout);
    const auto done = co_await stream_->handshake(std::move(session));
    stream_->clear_deadline();
    if (!done) log::debug("{}: {}", peer_, done.error().what);
    begun_ = done.has_value();
    co_return begun_;
  }

  /// False: it is over.
  bool take_input() {
    const std::string_view input = stream_->input();
    if (input.empty()) return true;
    heard_ = true;
    receiving_ = true;
    const bool posted = std::exchange(flushing_, true);  // it is sent below
    const auto received = session_.receive(input);
    receiving_ = false;
    stream_->consume(input.size());
    for (auto& action : std::exchange(ready_, {})) action();
    flushing_ = posted;
    if (!received) {
      if (!writing_) send_now();  // says why
      return false;
    }
    if (!posted) send();
    return !session_.done();
  }

  void send() {
    flushing_ = false;
    if (begun_ && !writing_ && !send_now()) {
      writing_ = true;
      loop_.spawn(write(shared_from_this()));
    }
  }

  /// False: the socket takes no more now.
  bool send_now() {
    while (stream_->interrupted() == Stream::Interrupt::kNone) {
      std::vector<iovec> pieces = session_.output();
      if (pieces.empty()) break;
      std::span<iovec> left{pieces};
      const std::size_t bytes = bytes_of(left);
      const auto all = stream_->try_write(left);
      if (!all) {
        stream_->interrupt(Stream::Interrupt::kCancelled);  // ends run()
        break;
      }
      session_.sent(bytes - bytes_of(left));
      if (!*all) return false;
    }
    return true;
  }

  static Task<void> write(std::shared_ptr<Connection> self) {
    while (self->stream_->interrupted() == Stream::Interrupt::kNone) {
      std::vector<iovec> pieces = self->session_.output();
      if (pieces.empty()) break;
      const std::size_t bytes = bytes_of(pieces);
      const auto written = co_await self->stream_->write(pieces, self->shared_->options.write_timeout);
      if (!written) {
        self->stream_->interrupt(Stream::Interrupt::kCancelled);
        break;
      }
      self->session_.sent(bytes);
    }
    self->writing_ = false;
  }

  /// Asks a peer that is silent whether it lives.
  static Task<void> watch(std::weak_ptr<Connection> weak, std::shared_ptr<Timer> timer) {
    while (true) {
      Duration interval{};
      if (const auto self = weak.lock()) interval = self->shared_->options.ping_interval;
      boost::system::error_code ended;
      timer->expires_after(interval);
      co_await timer->async_wait(asio::redirect_error(use_task, ended));
      if (ended) co_return;
      std::uint64_t pongs = 0;
      Duration timeout{};
      {
        const auto self = weak.lock();
        if (!self || self->stream_->interrupted() != Stream::Interrupt::kNone) co_return;
        if (std::exchange(self->heard_, false)) continue;
        pongs = self->session_.pongs();
        timeout = self->shared_->options.ping_timeout;
        self->session_.ping();
        self->flush();
      }
      timer->expires_after(timeout);
      co_await timer->async_wait(asio::redirect_error(use_task, ended));
      const auto self = weak.lock();
      if (ended || !self) co_return;
      if (self->session_.pongs() == pongs && !self->heard_) self->stream_->interrupt(Stream::Interrupt::kCancelled);
    }
  }

  [[nodiscard]] static std::size_t bytes_of(std::span<const iovec> pieces) {
    std::size_t bytes = 0;
    for (const iovec& piece : pieces) bytes += piece.iov_len;
    return bytes;
  }

  Loop& loop_;
  std::shared_ptr<Stream> stream_;
  const std::string peer_;
  std::shared_ptr<Shared> shared_;
  std::shared_ptr<ConnectionSet> set_;
  H2Session session_;
  std::shared_ptr<Timer> watch_timer_;  // of watch(), which ends with it
  bool begun_ = false;                  // TLS is there, if it is to be
  bool flushing_ = false;
  bool receiving_ = false;
  std::vector<std::move_only_function<void()>> ready_;
  bool writing_ = false;
  bool heard_ = false;
};

struct Shard {
  Loop* loop;
  std::shared_ptr<ConnectionSet> connections = std::make_shared<ConnectionSet>();
};

class Impl final : public H2Server {
 public:
  Impl(std::vector<Shard> shards, Listener listener, std::shared_ptr<Shared> shared)
      : shards_{std::move(shards)}, address_{listener.address()}, shared_{std::move(shared)} {
    std::vector<Loop*> loops;
    for (const Shard& shard : shards_) loops.push_back(shard.loop);
    const auto admit = [shared = shared_](int) {
      if (shared->connections.fetch_add(1) < shared->options.connections_max) return true;
      shared->connections.fetch_sub(1);
      return false;
    };
    const auto on_accept = [shards = shards_, shared = shared_](std::size_t to, Socket socket, std::string peer) {
      if (!socket.is_open()) {
        shared->connections.fetch_sub(1);
        return;
      }
      const Shard& shard = shards[to];
      auto connection =
          std::make_shared<Connection>(*shard.loop, std::move(socket), std::move(peer), shared, shard.connections);
      shard.loop->spawn(Connection::run(std::move(connection)));
    };
    acceptor_ = std::make_shared<Acceptor>(std::move(loops), std::move(listener), admit, on_accept);
    acceptor_->loop().post([acceptor = acceptor_] { acceptor->wait(); });
  }
  ~Impl() override { close(); }

  [[nodiscard]] const Address& address() const noexcept override { return address_; }
  [[nodiscard]] std::size_t connections() const noexcept override { return shared_->connections.load(); }
  void drain() override {
    shared_->draining = true;
    stop_accepting();
    for_each_connection(&Connection::drain);
  }
  void close() override {
    shared_->draining = true;
    stop_accepting();
    for_each_connection(&Connection::close);
  }

 private:
  void stop_accepting() {
    const std::scoped_lock lock{mutex_};
    if (!acceptor_) return;
    Loop& loop = acceptor_->loop();
    loop.post([acceptor = std::move(acceptor_)] { acceptor->stop(); });
    acceptor_ = nullptr;
  }
  void for_each_connection(void (Connection::*action)()) {
    for (const Shard& shard : shards_) {
      shard.loop->post([set = shard.connections, action] {
        std::vector<std::shared_ptr<Connection>> all;
        for (Connection* const connection : *set) all.push_back(connection->shared_from_this());
        for (const auto& connection : all) ((*connection).*action)();
      });
    }
  }

  std::vector<Shard> shards_;
  Address address_;
  std::shared_ptr<Shared> shared_;
  std::mutex mutex_;
  std::shared_ptr<Acceptor> acceptor_;
};

}  // namespace

Result<std::unique_ptr<H2Server>> H2Server::listen(std::vector<Loop*> loops, H2ServerOptions options,
                                                   OnRequest on_request) {
  if (loops.empty()) return fail(ErrorCode::kInternal, "a server needs a loop");
  LLMD_TRY(Listener listener, Listener::open(options.listen, options.unix_mode));
  auto shared = std::make_shared<Shared>();
  shared->options = std::move(options);
  shared->on_request = std::move(on_request);
  std::vector<Shard> shards;
  for (Loop* const loop : loops) shards.push_back(Shard{.loop = loop});
  return std::make_unique<Impl>(std::move(shards), std::move(listener), std::move(shared));
}

}  // namespace llmd::net
