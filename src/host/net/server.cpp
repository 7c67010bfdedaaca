#include "net/server.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <iterator>
#include <mutex>

#include "net/acceptor.h"
#include "net/connection.h"
#include "net/listener.h"

namespace llmd::net {
namespace {

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

/// Answers a connection beyond the limit.
void refuse(int fd, const ServerOptions& options) {
  const Error error{.code = ErrorCode::kNoEndpoint,
                    .what = fmt::format("the server has its {} connections", options.limits.connections_max),
                    .hint = "try again later"};
  const Response response = options.render_error ? options.render_error(error) : default_error_response(error);
  std::string text;
  append_answer_head(text, {.status = 503, .content_length = response.body.size(), .close = true}, response.headers);
  text += response.body;
  [[maybe_unused]] const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::shutdown(fd, SHUT_WR);
}

std::shared_ptr<Acceptor> make_acceptor(const std::vector<Shard>& shards, Listener listener,
                                        const std::shared_ptr<ServerShared>& shared) {
  std::vector<Loop*> loops;
  for (const Shard& shard : shards) loops.push_back(shard.loop);
  const auto admit = [shared](int fd) {
    if (shared->connections.fetch_add(1) < shared->options.limits.connections_max) return true;
    shared->connections.fetch_sub(1);
    if (!shared->options.tls) refuse(fd, shared->options);
    return false;
  };
  const auto on_accept = [shards, shared](std::size_t to, Socket socket, std::string peer) {
    if (!socket.is_open()) {
      shared->connections.fetch_sub(1);
      return;
    }
    const Shard& shard = shards[to];
    auto connection =
        std::make_shared<Connection>(*shard.loop, std::move(socket), std::move(peer), shared, shard.connections);
    shard.loop->spawn(Connection::run(std::move(connection)));
  };
  return std::make_shared<Acceptor>(std::move(loops), std::move(listener), admit, on_accept);
}

class ServerImpl final : public Server {
 public:
  ServerImpl(std::vector<Shard> shards, Listener listener, std::shared_ptr<ServerShared> shared)
      : shards_{std::move(shards)}, address_{listener.address()}, shared_{std::move(shared)} {
    acceptor_ = make_acceptor(shards_, std::move(listener), shared_);
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
