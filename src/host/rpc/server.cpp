#include "rpc/server.h"

#include <atomic>
#include <charconv>
#include <exception>
#include <utility>

#include "rpc/message_stream.h"
#include "runtime/deadline.h"
#include "telemetry/log.h"

namespace llmd::rpc {
namespace {

constexpr std::string_view kContentType = "application/grpc";
constexpr std::int64_t kHoursMax = 24 * 365;
constexpr Duration kTimeoutMax = std::chrono::hours{kHoursMax};  // what is longer need not end

constexpr std::string_view kAcceptEncoding = "identity,gzip";

std::optional<Encoding> encoding_of(const net::Headers& headers) {
  const auto name = headers.get("grpc-encoding");
  if (!name || *name == "identity") return Encoding::kIdentity;
  return *name == "gzip" ? std::optional{Encoding::kGzip} : std::nullopt;
}

struct Shared {
  ServerOptions options;
  std::map<std::string, Method, std::less<>> methods;
  std::atomic<std::size_t> calls{0};
};

class Call final : public ServerCall, public MessageStream, public std::enable_shared_from_this<Call> {
 public:
  Call(std::shared_ptr<net::H2Connection> connection, net::H2StreamId id, net::Request head,
       std::shared_ptr<Shared> shared)
      : MessageStream{std::move(connection), shared->options.messages,
                      encoding_of(head.headers).value_or(Encoding::kIdentity)},
        head_{std::move(head)},
        shared_{std::move(shared)},
        encoding_known_{encoding_of(head_.headers).has_value()},
        deadline_{this->connection().loop().executor(),
                  [this] { cut({.code = ErrorCode::kDeadlineExceeded, .what = "the call's deadline passed"}); }} {
    set_id(id);
    shared_->calls.fetch_add(1);
  }
  ~Call() override { shared_->calls.fetch_sub(1); }

  void begin() {
    if (const auto text = head_.headers.get("grpc-timeout")) {
      if (const auto timeout = parse_timeout(*text)) deadline_.set(SteadyClock::now() + *timeout);
    }
    connection().loop().spawn(run(shared_from_this()));
  }

  // ServerCall
  [[nodiscard]] const net::Headers& metadata() const noexcept override { return head_.headers; }
  [[nodiscard]] const std::string& peer() const noexcept override { return head_.peer; }
  [[nodiscard]] Loop& loop() noexcept override { return connection().loop(); }
  [[nodiscard]] bool cancelled() const noexcept override { return is_cut(); }
  [[nodiscard]] Task<Result<std::optional<std::string>>> read() override { return next(); }
  [[nodiscard]] Task<Result<void>> write(std::vector<net::H2Bytes> message) override {
    return send(std::move(message));
  }
  void stop_reading() override { stop(); }
  void on_cancel(std::move_only_function<void()> callback) override { on_cut(std::move(callback)); }

  void on_close(net::H2Reset /*reason*/) override {
    if (!returned_) cut({.code = ErrorCode::kCancelled, .what = "the client has left"});
  }

 private:
  static Task<void> run(std::shared_ptr<Call> self) {
    const auto method = self->shared_->methods.find(self->head_.target);
    const bool is_known = method != self->shared_->methods.end();
    Status status{.code = StatusCode::kUnimplemented,
                  .message = is_known ? "the grpc-encoding of the request is unknown"
                                      : "no such method: " + self->head_.target.substr(0, 200)};
    if (is_known && self->encoding_known_) {
      try {
        status = co_await method->second(*self);
      } catch (const std::exception& e) {
        log::error("the method {} threw: {}", method->first, e.what());
        status = {.code = StatusCode::kInternal, .message = "the method failed by a fault of the server"};
      }
    }
    // The method learnt that it was cut; what it returns does not count then.
    self->finish(self->is_cut() ? status_of(self->cut_reason()) : status);
  }

  void before_send() override {
    if (std::exchange(head_sent_, true)) return;
    net::Headers headers;
    headers.add("content-type", std::string{kContentType});
    connection().session().send_head(id(), 200, headers);
  }

  void finish(const Status& status) {
    returned_ = true;
    deadline_.clear();
    net::Headers trailers;
    if (!head_sent_) trailers.add("content-type", std::string{kContentType});
    trailers.add("grpc-status", std::to_string(static_cast<int>(status.code)));
    if (!encoding_known_) trailers.add("grpc-accept-encoding", std::string{kAcceptEncoding});
    if (!status.message.empty()) trailers.add("grpc-message", percent_encoded(status.message));
    net::H2Session& session = connection().session();
    if (head_sent_) {
      session.send_end(id(), trailers);
    } else {
      session.send_head(id(), 200, trailers, /*last=*/true);
    }
    close_input();
    connection().flush();
  }

  const net::Request head_;
  const std::shared_ptr<Shared> shared_;
  const bool encoding_known_;
  Deadline deadline_;
  bool returned_ = false;  // the method has
  bool head_sent_ = false;
};

class Impl final : public Server {
 public:
  Impl(std::unique_ptr<net::H2Server> h2, std::shared_ptr<Shared> shared)
      : shared_{std::move(shared)}, h2_{std::move(h2)} {}
  [[nodiscard]] const net::Address& address() const noexcept override { return h2_->address(); }
  [[nodiscard]] std::size_t calls() const noexcept override { return shared_->calls.load(); }
  void drain() override { h2_->drain(); }
  void close() override { h2_->close(); }

 private:
  std::shared_ptr<Shared> shared_;
  std::unique_ptr<net::H2Server> h2_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(std::vector<Loop*> loops, ServerOptions options,
                                               std::map<std::string, Method, std::less<>> methods) {
  auto shared = std::make_shared<Shared>();
  shared->options = std::move(options);
  shared->methods = std::move(methods);
  const auto on_request = [shared](const std::shared_ptr<net::H2Connection>& connection, net::H2StreamId id,
                                   net::Request head) -> std::shared_ptr<net::H2Stream> {
    const auto type = head.headers.get("content-type");
    if (head.method != "POST" || !type || !type->starts_with(kContentType)) {
      connection->session().send_head(id, 415, {}, /*last=*/true);
      connection->flush();
      return nullptr;
    }
    auto call = std::make_shared<Call>(connection, id, std::move(head), shared);
    call->begin();
    return call;
  };
  LLMD_TRY(auto h2, net::H2Server::listen(std::move(loops), shared->options.h2, on_request));
  return std::make_unique<Impl>(std::move(h2), std::move(shared));
}

std::optional<Duration> parse_timeout(std::string_view text) noexcept {
  constexpr std::size_t kDigitsMax = 8;
  if (text.size() < 2 || text.size() > kDigitsMax + 1) return {};
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size() - 1, value);
  if (error != std::errc{} || end != text.data() + text.size() - 1 || value < 0) return {};
  switch (text.back()) {
    case 'H': return std::min(kTimeoutMax, Duration{std::chrono::hours{std::min(value, kHoursMax)}});
    case 'M': return std::min(kTimeoutMax, Duration{std::chrono::minutes{value}});
    case 'S': return std::min(kTimeoutMax, Duration{seconds{value}});
    case 'm': return milliseconds{value};
    case 'u': return std::chrono::microseconds{value};
    case 'n': return std::chrono::nanoseconds{value};
    default: return {};
  }
}

}  // namespace llmd::rpc
