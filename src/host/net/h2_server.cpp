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

class Connection final : public H2Link {
 public:
  Connection(Loop& loop, Socket socket, std::string peer, std::shared_ptr<Shared> shared,
             std::shared_ptr<ConnectionSet> set)
      : H2Link{loop, std::make_shared<Stream>(loop, std::move(socket), kBuffer), std::move(peer), shared->options.link},
        shared_{std::move(shared)},
        set_{std::move(set)},
        session_{shared_->options.limits, [this](H2StreamId id, Request head) {
                   head.peer = this->peer();
                   return shared_->on_request(shared_from_this(), id, std::move(head));
                 }} {
    set_->insert(this);
  }
  ~Connection() override {
    set_->erase(this);
    shared_->connections.fetch_sub(1);
  }

  [[nodiscard]] H2Session& session() noexcept override { return session_; }

  static Task<void> serve(std::shared_ptr<Connection> self) {
    const bool begun = co_await self->begin();
    if (!begun) {
      self->close();
      co_return;
    }
    if (self->shared_->draining) self->session_.go_away();
    co_await run(self);
  }

  /// Streams that the peer opens before it has heard of it are served, too.
  void drain() {
    session_.announce_go_away();
    flush();
    loop().spawn([](std::weak_ptr<H2Link> weak) -> Task<void> {
      co_await sleep_for(kDrainNotice);
      if (const auto self = weak.lock()) {
        self->session().go_away();
        self->flush();
      }
    }(weak_from_this()));
  }

 private:
  /// False: there is no TLS connection.
  Task<bool> begin() {
    const auto& tls = shared_->options.tls;
    if (!tls) co_return true;
    auto session = tls->session(TlsProtocol::kHttp2);
    stream().set_deadline(SteadyClock::now() + tls->options().handshake_timeout);
    const auto done = co_await stream().handshake(std::move(session));
    stream().clear_deadline();
    if (!done) log::debug("{}: {}", peer(), done.error().what);
    co_return done.has_value();
  }

  const std::shared_ptr<Shared> shared_;
  const std::shared_ptr<ConnectionSet> set_;
  H2Session session_;
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
      shard.loop->spawn(Connection::serve(std::move(connection)));
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
        std::vector<std::pair<std::shared_ptr<H2Link>, Connection*>> all;
        for (Connection* const connection : *set) all.emplace_back(connection->shared_from_this(), connection);
        for (const auto& [alive, connection] : all) (connection->*action)();
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
