#include "net/server.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <mutex>

#include "net/connection.h"
#include "net/listener.h"
#include "telemetry/log.h"

namespace llmd::net {
namespace {

constexpr Duration kAcceptBackoff = milliseconds{50};
constexpr int kAcceptsInARow = 64;

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {  // an error may quote bytes that are not UTF-8
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  out += '"';
}

/// One loop's part of the server.
struct Shard {
  Loop* loop;
  std::shared_ptr<ConnectionSet> connections = std::make_shared<ConnectionSet>();
};

void adopt(const Shard& shard, int fd, std::shared_ptr<ServerShared> shared) {
  const bool is_unix = shared->options.listen.is_unix();
  std::string peer = peer_name(fd);
  if (!is_unix) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  Socket socket{shard.loop->executor()};
  boost::system::error_code error;
  socket.assign(asio::generic::stream_protocol{is_unix ? AF_UNIX : AF_INET, 0}, fd, error);
  if (error) {
    ::close(fd);
    shared->connections.fetch_sub(1);
    return;
  }
  auto connection = std::make_shared<Connection>(*shard.loop, std::move(socket), std::move(peer), std::move(shared),
                                                 shard.connections);
  shard.loop->spawn(Connection::run(std::move(connection)));
}

/// Accepts on the first loop and deals connections out in turn. SO_REUSEPORT would spare the hand-over, but it lets a
/// second server take half of a taken port's traffic without an error, deals few long connections unevenly, and does
/// not exist for unix sockets.
class Acceptor : public std::enable_shared_from_this<Acceptor> {
 public:
  Acceptor(std::vector<Shard> shards, Listener listener, std::shared_ptr<ServerShared> shared)
      : shards_{std::move(shards)},
        listener_{std::move(listener)},
        shared_{std::move(shared)},
        descriptor_{shards_.front().loop->executor(), listener_->fd()},
        retry_{shards_.front().loop->executor()} {}
  ~Acceptor() {
    if (descriptor_.is_open()) descriptor_.release();  // the listener closes it
  }
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  void wait() {
    if (!descriptor_.is_open()) return;
    descriptor_.async_wait(asio::posix::descriptor_base::wait_read,
                           [self = shared_from_this()](const boost::system::error_code& error) {
                             if (!error) self->accept_ready();
                           });
  }

  void stop() {
    retry_.cancel();
    if (!descriptor_.is_open()) return;
    descriptor_.release();
    listener_.reset();
  }

 private:
  void accept_ready() {
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
  void back_off(int number) {
    if (!std::exchange(failing_, true)) {
      log::error("accept on {} fails and is tried again: {}", listener_->address().to_string(), std::strerror(number));
    }
    retry_.expires_after(kAcceptBackoff);
    retry_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error) self->accept_ready();
    });
  }

  void place(int fd) {
    failing_ = false;
    if (shared_->connections.fetch_add(1) >= shared_->options.limits.connections_max) {
      refuse(fd);
      return;
    }
    const Shard& shard = shards_[next_++ % shards_.size()];
    if (&shard == &shards_.front()) {
      adopt(shard, fd, shared_);
    } else {
      shard.loop->post([shard, fd, shared = shared_]() mutable { adopt(shard, fd, std::move(shared)); });
    }
  }

  void refuse(int fd) {
    shared_->connections.fetch_sub(1);
    const Error error{.code = ErrorCode::kNoEndpoint,
                      .what = fmt::format("the server has its {} connections", shared_->options.limits.connections_max),
                      .hint = "try again later"};
    const auto& render = shared_->options.render_error;
    const Response response = render ? render(error) : default_error_response(error);
    std::string text;
    append_answer_head(text, {.status = 503, .content_length = response.body.size(), .close = true}, response.headers);
    text += response.body;
    [[maybe_unused]] const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ::shutdown(fd, SHUT_WR);
    ::close(fd);
  }

  std::vector<Shard> shards_;
  std::optional<Listener> listener_;
  std::shared_ptr<ServerShared> shared_;
  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> descriptor_;
  Timer retry_;
  std::size_t next_ = 0;
  bool failing_ = false;
};

class ServerImpl final : public Server {
 public:
  ServerImpl(std::vector<Shard> shards, Listener listener, std::shared_ptr<ServerShared> shared)
      : shards_{std::move(shards)}, address_{listener.address()}, shared_{std::move(shared)} {
    acceptor_ = std::make_shared<Acceptor>(shards_, std::move(listener), shared_);
    acceptor_loop().post([acceptor = acceptor_] { acceptor->wait(); });
  }
  ~ServerImpl() override {
    stop_accepting();
    close_connections();
  }

  [[nodiscard]] const Address& address() const noexcept override { return address_; }
  [[nodiscard]] std::size_t in_flight() const noexcept override { return shared_->in_flight.load(); }
  [[nodiscard]] std::size_t connections() const noexcept override { return shared_->connections.load(); }

  void drain() override {
    shared_->draining = true;
    stop_accepting();
    for_each_connection(&Connection::drain);
  }
  void close() override {
    shared_->draining = true;
    stop_accepting();
    close_connections();
  }

 private:
  Loop& acceptor_loop() { return *shards_.front().loop; }

  /// The loop gets the last reference, so that the descriptor dies where it lived.
  void stop_accepting() {
    const std::scoped_lock lock{mutex_};
    if (!acceptor_) return;
    acceptor_loop().post([acceptor = std::move(acceptor_)] { acceptor->stop(); });
    acceptor_ = nullptr;
  }
  void close_connections() { for_each_connection(&Connection::close); }

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
  std::shared_ptr<ServerShared> shared_;
  std::mutex mutex_;
  std::shared_ptr<Acceptor> acceptor_;
};

}  // namespace

Response default_error_response(const Error& error) {
  const int status = http_status(error.code);
  Response response{.status = status};
  response.headers.add("Content-Type", "application/json");
  std::string& body = response.body;
  body = R"({"error":{"message":)";
  append_json_string(body, error.hint.empty() ? error.what : fmt::format("{} ({})", error.what, error.hint));
  body += status < 500 ? R"(,"type":"invalid_request_error","param":)" : R"(,"type":"server_error","param":)";
  if (error.param.empty()) {
    body += "null";
  } else {
    append_json_string(body, error.param);
  }
  body += R"(,"code":)";
  append_json_string(body, error_code_name(error.code));
  body += "}}\n";
  return response;
}

Result<std::unique_ptr<Server>> Server::listen(std::vector<Loop*> loops, ServerOptions options, Handler handler) {
  if (loops.empty()) return fail(ErrorCode::kInternal, "a server needs a loop");
  LLMD_TRY(Listener listener, Listener::open(options.listen, options.unix_mode));
  auto shared = std::make_shared<ServerShared>();
  shared->options = std::move(options);
  shared->handler = std::move(handler);
  std::vector<Shard> shards;
  for (Loop* const loop : loops) shards.push_back(Shard{.loop = loop});
  return std::make_unique<ServerImpl>(std::move(shards), std::move(listener), std::move(shared));
}

}  // namespace llmd::net
