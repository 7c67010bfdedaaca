#include "rpc/server.h"

#include <atomic>
#include <charconv>
#include <exception>
#include <utility>

#include "base/fifo.h"
#include "rpc/message_reader.h"
#include "runtime/deadline.h"
#include "telemetry/log.h"

namespace llmd::rpc {
namespace {

constexpr std::size_t kMessagesAhead = 4;  // whole ones that wait to be read; then the peer's window stays closed
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

class Call final : public ServerCall, public net::H2Stream, public std::enable_shared_from_this<Call> {
 public:
  Call(std::shared_ptr<net::H2Connection> connection, net::H2StreamId id, net::Request head,
       std::shared_ptr<Shared> shared)
      : connection_{std::move(connection)},
        id_{id},
        head_{std::move(head)},
        shared_{std::move(shared)},
        encoding_{encoding_of(head_.headers)},
        reader_{shared_->options.message_bytes_max, encoding_.value_or(Encoding::kIdentity)},
        deadline_{connection_->loop().executor(),
                  [this] { cut({.code = StatusCode::kDeadlineExceeded, .message = "the call's deadline passed"}); }} {
    shared_->calls.fetch_add(1);
  }
  ~Call() override {
    if (charged_ > 0) shared_->options.message_budget->release(charged_);
    shared_->calls.fetch_sub(1);
  }

  void begin() {
    if (const auto text = head_.headers.get("grpc-timeout")) {
      if (const auto timeout = parse_timeout(*text)) deadline_.set(SteadyClock::now() + *timeout);
    }
    connection_->loop().spawn(run(shared_from_this()));
  }

  // ServerCall
  [[nodiscard]] const net::Headers& metadata() const noexcept override { return head_.headers; }
  [[nodiscard]] const std::string& peer() const noexcept override { return head_.peer; }
  [[nodiscard]] Loop& loop() noexcept override { return connection_->loop(); }
  [[nodiscard]] bool cancelled() const noexcept override { return cut_.has_value(); }

  [[nodiscard]] Task<Result<std::optional<std::string>>> read() override {
    while (messages_.empty() && !ended_ && !cut_ && !wrong_) co_await wait();
    if (cut_) co_return std::unexpected(cut_error());
    if (!messages_.empty()) {
      std::optional<std::string> message{messages_.pop_front()};
      queued_bytes_ -= cost_of(*message);
      [[maybe_unused]] const bool less = settle();
      consume(std::exchange(unconsumed_, 0));
      co_return message;
    }
    if (wrong_) co_return std::unexpected(*wrong_);
    co_return std::optional<std::string>{};
  }

  [[nodiscard]] Task<Result<void>> write(std::vector<net::H2Bytes> message) override {
    while (unsent_bytes_ > shared_->options.unsent_bytes_max && !cut_) {
      write_waits_ = true;
      co_await wait();
    }
    if (cut_) co_return std::unexpected(cut_error());
    std::size_t bytes = 0;
    for (const net::H2Bytes& piece : message) bytes += piece.bytes.size();
    send_head();
    net::H2Session& session = connection_->session();
    unsent_bytes_ += bytes;
    session.send_data(id_, net::own(message_head(bytes)));
    for (net::H2Bytes& piece : message) session.send_data(id_, std::move(piece));
    connection_->flush();
    co_return Result<void>{};
  }

  void stop_reading() override {
    if (!wrong_) wrong_ = Error{.code = ErrorCode::kCancelled, .what = "nothing more is read"};
    messages_.clear();
    queued_bytes_ = 0;
    [[maybe_unused]] const bool less = settle();
    consume(std::exchange(unconsumed_, 0));
    wake();
  }
  void on_cancel(std::move_only_function<void()> callback) override {
    if (callback && cut_) {
      callback();
      return;
    }
    on_cancel_ = std::move(callback);
  }

  // H2Stream
  void on_data(std::string_view bytes) override {
    if (returned_ || cut_ || wrong_) return consume(bytes.size());
    std::vector<std::string> whole;
    if (auto taken = reader_.take(bytes, whole); !taken) wrong_ = std::move(taken).error();
    for (std::string& message : whole) {
      queued_bytes_ += cost_of(message);
      messages_.push_back(std::move(message));
    }
    if (!settle()) {
      wrong_ = Error{.code = ErrorCode::kBudgetExhausted, .what = "there is no memory for further messages"};
      messages_.clear();
      queued_bytes_ = 0;
    }
    if (messages_.size() < kMessagesAhead) {
      consume(bytes.size());
    } else {
      unconsumed_ += bytes.size();
    }
    wake();
  }
  void on_end() override {
    ended_ = true;
    if (reader_.pending_bytes() > 0 && !wrong_)
      wrong_ = Error{.code = ErrorCode::kProtocol, .what = "the call ends within a message"};
    wake();
  }
  void on_close(net::H2Reset /*reason*/) override {
    if (!returned_) cut({.code = StatusCode::kCancelled, .message = "the client has left"});
  }
  void on_sent() override {
    unsent_bytes_ = 0;
    if (std::exchange(write_waits_, false)) wake();
  }

 private:
  static Task<void> run(std::shared_ptr<Call> self) {
    const auto method = self->shared_->methods.find(self->head_.target);
    const bool is_known = method != self->shared_->methods.end();
    Status status{.code = StatusCode::kUnimplemented,
                  .message = is_known ? "the grpc-encoding of the request is unknown"
                                      : "no such method: " + self->head_.target.substr(0, 200)};
    if (is_known && self->encoding_) {
      try {
        status = co_await method->second(*self);
      } catch (const std::exception& e) {
        log::error("the method {} threw: {}", method->first, e.what());
        status = {.code = StatusCode::kInternal, .message = "the method failed by a fault of the server"};
      }
    }
    self->finish(self->cut_ ? *self->cut_ : status);
  }

  void send_head() {
    if (std::exchange(head_sent_, true)) return;
    net::Headers headers;
    headers.add("content-type", std::string{kContentType});
    connection_->session().send_head(id_, 200, headers);
  }

  void finish(const Status& status) {
    returned_ = true;
    on_cancel_ = nullptr;
    deadline_.clear();
    net::Headers trailers;
    if (!head_sent_) trailers.add("content-type", std::string{kContentType});
    trailers.add("grpc-status", std::to_string(static_cast<int>(status.code)));
    if (!encoding_) trailers.add("grpc-accept-encoding", std::string{kAcceptEncoding});
    if (!status.message.empty()) trailers.add("grpc-message", percent_encoded(status.message));
    net::H2Session& session = connection_->session();
    if (head_sent_) {
      session.send_end(id_, trailers);
    } else {
      session.send_head(id_, 200, trailers, /*last=*/true);
    }
    consume(std::exchange(unconsumed_, 0));
    connection_->flush();
  }

  /// The method learns of it; what it returns does not count.
  void cut(Status status) {
    if (cut_ || returned_) return;
    cut_ = std::move(status);
    if (auto callback = std::exchange(on_cancel_, nullptr)) callback();
    wake();
  }
  [[nodiscard]] Error cut_error() const {
    return {.code = cut_->code == StatusCode::kDeadlineExceeded ? ErrorCode::kDeadlineExceeded : ErrorCode::kCancelled,
            .what = cut_->message};
  }

  [[nodiscard]] Task<void> wait() {
    return asio::async_initiate<const asio::use_awaitable_t<asio::io_context::executor_type>&, void()>(
        [this](auto handler) { waiter_ = std::move(handler); }, use_task);
  }
  /// Not at once: it may be called from within the session.
  void wake() {
    if (!waiter_) return;
    connection_->soon(std::exchange(waiter_, nullptr));
  }

  void consume(std::size_t bytes) {
    if (bytes == 0) return;
    connection_->session().consume(id_, bytes);
    connection_->flush();
  }
  /// Also empty messages take memory.
  [[nodiscard]] static std::size_t cost_of(const std::string& message) noexcept {
    return message.size() + sizeof message;
  }
  /// Charges the budget with what waits now. False: it is spent.
  [[nodiscard]] bool settle() {
    Budget* const budget = shared_->options.message_budget;
    if (budget == nullptr) return true;
    const std::size_t held = queued_bytes_ + reader_.pending_bytes();
    if (held > charged_ && !budget->try_charge(held - charged_)) return false;
    if (held < charged_) budget->release(charged_ - held);
    charged_ = held;
    return true;
  }

  const std::shared_ptr<net::H2Connection> connection_;
  const net::H2StreamId id_;
  const net::Request head_;
  const std::shared_ptr<Shared> shared_;
  const std::optional<Encoding> encoding_;  // none: one that is unknown here
  MessageReader reader_;
  Deadline deadline_;
  Fifo<std::string> messages_;
  std::size_t unconsumed_ = 0;    // bytes of those beyond kMessagesAhead
  std::size_t queued_bytes_ = 0;  // of messages_
  std::size_t charged_ = 0;       // of the budget
  std::size_t unsent_bytes_ = 0;
  bool ended_ = false;     // the client has sent all
  bool returned_ = false;  // the method has
  bool head_sent_ = false;
  bool write_waits_ = false;
  std::optional<Error> wrong_;  // with what the client sent
  std::optional<Status> cut_;
  std::move_only_function<void()> waiter_;
  std::move_only_function<void()> on_cancel_;
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
