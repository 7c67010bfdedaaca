#include "kvtransfer/block_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <unordered_set>
#include <utility>

#include "kvtransfer/holder_connection.h"
#include "net/listener.h"
#include "net/stream.h"
#include "runtime/deadline.h"
#include "telemetry/log.h"

namespace llmd::kvtransfer {
namespace {

constexpr milliseconds kAcceptBackoff{100};

}  // namespace

/// Shared with the coroutines, which may end later than the server.
struct BlockServer::State : std::enable_shared_from_this<State> {
  State(Loop& on, BlockServerOptions with, net::Listener listening, TransferMetrics& metrics);

  struct Begun;

  [[nodiscard]] static Task<void> accept(std::shared_ptr<State> self);
  [[nodiscard]] static Task<void> serve(std::shared_ptr<State> self, int fd, std::string peer);
  void admit(int fd);
  void close();
  void on_leases_changed();

  const BlockServerOptions options;
  const net::Address address;
  LeaseTable leases;
  HolderContext context;
  std::optional<net::Listener> listener;
  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> descriptor;
  Deadline expiry;
  std::size_t open = 0;                               // connections, those included that have not begun
  std::unordered_set<HolderConnection*> connections;  // those that have
  bool closed = false;
};

/// A connection that close() can reach, also while its coroutine is destroyed where it waits (Loop::discard).
struct BlockServer::State::Begun {
  Begun(State& of, HolderConnection& begun) : state{of}, connection{begun} { state.connections.insert(&connection); }
  ~Begun() {
    state.connections.erase(&connection);
    --state.open;
  }
  Begun(const Begun&) = delete;
  Begun& operator=(const Begun&) = delete;

  State& state;
  HolderConnection& connection;
};

BlockServer::State::State(Loop& on, BlockServerOptions with, net::Listener listening, TransferMetrics& metrics)
    : options{std::move(with)},
      address{listening.address()},
      leases{options.leases},
      context{.loop = on,
              .identity = options.identity,
              .leases = leases,
              .handshake_max = options.handshake_max,
              .idle_max = options.idle_max,
              .stall_max = options.stall_max,
              .metrics = metrics,
              .on_release = [this] { on_leases_changed(); }},
      listener{std::move(listening)},
      descriptor{on.executor(), listener->fd()},
      expiry{on.executor(), [this] {
               const std::size_t ended = leases.tick(SteadyClock::now());
               context.metrics.count_expired_leases(ended);
               if (ended > 0) log::warn("{} leases expired before a decode worker fetched their blocks", ended);
               on_leases_changed();
             }} {}

void BlockServer::State::on_leases_changed() {
  context.metrics.set_leases(leases.stats().leases);
  if (const auto next = leases.next_deadline()) expiry.set(*next);
}

void BlockServer::State::close() {
  closed = true;
  expiry.clear();
  for (HolderConnection* const connection : connections) connection->close();
  leases = LeaseTable{options.leases};
  context.metrics.set_leases(0);
  descriptor.release();  // ends the wait for connections; the listener closes the socket
  listener.reset();
}

Task<void> BlockServer::State::accept(std::shared_ptr<State> self) {
  while (!self->closed) {
    const int fd = ::accept4(self->listener->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      self->admit(fd);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      [[maybe_unused]] const auto [error] =
          co_await self->descriptor.async_wait(asio::posix::descriptor_base::wait_read, asio::as_tuple(use_task));
    } else if (errno != EINTR && errno != ECONNABORTED) {
      // Out of descriptors or memory: connections wait in the kernel's queue meanwhile.
      log::error("accept on {} fails and is tried again: {}", self->address.to_string(), std::strerror(errno));
      co_await sleep_for(kAcceptBackoff);
    }
  }
}

void BlockServer::State::admit(int fd) {
  if (open < options.connections_max) {
    ++open;
    context.loop.spawn(serve(shared_from_this(), fd, net::peer_name(fd)));
    return;
  }
  context.metrics.count_failure(ErrorCode::kOverloaded);
  std::vector<std::byte> refusal;
  encode(WireError{.code = WireErrorCode::kOverloaded, .text = "this holder has all its connections"}, refusal);
  [[maybe_unused]] const ssize_t sent = ::send(fd, refusal.data(), refusal.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::close(fd);
}

Task<void> BlockServer::State::serve(std::shared_ptr<State> self, int fd, std::string peer) {
  net::Socket socket{self->context.loop.executor()};
  const bool is_unix = self->address.is_unix();
  // Which protocol it says only matters to sockets that are opened here.
  const int family = is_unix ? AF_UNIX : AF_INET;
  boost::system::error_code error;
  socket.assign(asio::generic::stream_protocol{family, 0}, fd, error);
  if (error) {
    ::close(fd);
    --self->open;
    co_return;
  }
  HolderConnection connection{self->context, std::move(socket), is_unix};
  const Begun begun{*self, connection};
  if (self->closed) connection.close();
  const Result<void> ended = co_await connection.run();
  if (ended || ended.error().code == ErrorCode::kCancelled) co_return;
  self->context.metrics.count_failure(ended.error().code);
  log::warn("KV transfer to {} ended: {}", peer, ended.error().to_string());
}

Result<std::unique_ptr<BlockServer>> BlockServer::listen(Loop& loop, BlockServerOptions options,
                                                         TransferMetrics& metrics) {
  LLMD_TRY(net::Listener listener, net::Listener::open(options.listen, options.unix_mode));
  auto state = std::make_shared<State>(loop, std::move(options), std::move(listener), metrics);
  loop.spawn(State::accept(state));
  return std::unique_ptr<BlockServer>{new BlockServer{std::move(state)}};
}

BlockServer::~BlockServer() { state_->close(); }

Result<LeaseId> BlockServer::grant(std::vector<LeasedBlock> blocks) {
  auto lease = state_->leases.grant(std::move(blocks), SteadyClock::now() + state_->options.lease_time);
  state_->on_leases_changed();
  return lease;
}

const net::Address& BlockServer::address() const noexcept { return state_->address; }

LeaseTable::Stats BlockServer::leases() const { return state_->leases.stats(); }

std::size_t BlockServer::connections() const noexcept { return state_->open; }

}  // namespace llmd::kvtransfer
