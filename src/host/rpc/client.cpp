#include "rpc/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/percent_decoding.h"
#include "net/dial.h"
#include "runtime/deadline.h"
#include "runtime/event.h"

namespace llmd::rpc {
namespace {

constexpr net::Stream::Options kBuffer{.buffer_bytes = 16 * 1024, .buffer_bytes_max = 256 * 1024};
constexpr std::string_view kContentType = "application/grpc";
constexpr int kOk = 200;

/// What an answer without gRPC's status says (grpc/grpc, doc/http-grpc-status-mapping.md).
StatusCode code_of_http(int status) noexcept {
  switch (status) {
    case 400: return StatusCode::kInternal;
    case 401: return StatusCode::kUnauthenticated;
    case 403: return StatusCode::kPermissionDenied;
    case 404: return StatusCode::kUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504: return StatusCode::kUnavailable;
    default: return StatusCode::kUnknown;
  }
}

std::optional<Status> status_in(const net::Headers& fields) {
  const auto code = fields.get("grpc-status");
  if (!code) return {};
  unsigned number = 0;
  const auto [end, error] = std::from_chars(code->data(), code->data() + code->size(), number);
  constexpr unsigned kCodes = 17;
  const bool known = error == std::errc{} && end == code->data() + code->size() && number < kCodes;
  return Status{.code = known ? static_cast<StatusCode>(number) : StatusCode::kUnknown,
                .message = percent_decoded(fields.get("grpc-message").value_or(""))};
}

/// The server's half of what is said of a call.
class Call final : public MessageStream, public std::enable_shared_from_this<Call> {
 public:
  Call(std::shared_ptr<net::H2Connection> connection, const MessageLimits& limits)
      : MessageStream{std::move(connection), limits, Encoding::kIdentity},
        deadline_{this->connection().loop().executor(),
                  [this] { end_by({.code = ErrorCode::kDeadlineExceeded, .what = "the call's deadline passed"}); }} {}

  Result<void> begin(const net::Headers& head, Duration timeout) {
    LLMD_TRY(const net::H2StreamId id, connection().session().open(head, shared_from_this()));
    set_id(id);
    if (timeout > Duration::zero()) deadline_.set(SteadyClock::now() + timeout);
    connection().flush();
    return {};
  }
  void finish_writing() {
    finished_ = true;
    connection().session().send_end(id());
    connection().flush();
  }
  /// Nobody waits for it any more, for this reason.
  void end_by(Error reason) {
    if (reset_ || (done_ && finished_)) return;
    reset_ = true;
    connection().session().reset(id(), net::H2Reset::kCancel);
    connection().flush();
    if (!done_) give_up(std::move(reason));
  }
  [[nodiscard]] const Status& status() const noexcept { return status_; }

  void on_head(int status, net::Headers headers) override {
    const auto type = headers.get("content-type");
    if (auto told = status_in(headers)) {
      status_ = *std::move(told);
      told_ = true;
    } else if (status != kOk || !type || !type->starts_with(kContentType)) {
      status_ = {.code = code_of_http(status),
                 .message = fmt::format("the server's answer has status {} and type {}", status,
                                        type.value_or("none").substr(0, 100))};
      told_ = true;
      fail_input({.code = ErrorCode::kProtocol, .what = status_.message});
    } else if (const auto encoding = headers.get("grpc-encoding"); encoding && *encoding != "identity") {
      fail_input({.code = ErrorCode::kProtocol, .what = "the server compresses, which nobody asked for"});
    }
  }
  void on_trailers(net::Headers trailers) override {
    if (auto told = status_in(trailers)) {
      status_ = *std::move(told);
      told_ = true;
    }
  }
  void on_end() override {
    done_ = true;
    deadline_.clear();
    if (!told_) status_ = {.code = StatusCode::kUnknown, .message = "the answer ends without a status"};
    MessageStream::on_end();
  }
  void on_close(net::H2Reset reason) override {
    if (done_) return close_output();
    give_up({.code = ErrorCode::kConnectionClosed,
             .what = fmt::format("the server has reset the call, or the connection is gone ({})",
                                 static_cast<unsigned>(reason))});
  }

 private:
  void give_up(Error reason) {
    done_ = true;
    deadline_.clear();
    if (!told_) status_ = status_of(reason);
    cut(std::move(reason));
  }

  Deadline deadline_;
  Status status_{.code = StatusCode::kUnknown};
  bool told_ = false;  // by the server
  bool reset_ = false;
  bool finished_ = false;  // nothing more is sent
  bool done_ = false;
};

/// What the caller holds.
class Handle final : public ClientCall {
 public:
  explicit Handle(std::shared_ptr<Call> call) : call_{std::move(call)} {}
  ~Handle() override { cancel(); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  [[nodiscard]] Task<Result<std::optional<std::string>>> read() override { return call_->next(); }
  [[nodiscard]] Task<Result<void>> write(std::vector<net::H2Bytes> message) override {
    return call_->send(std::move(message));
  }
  void finish_writing() override { call_->finish_writing(); }
  void cancel() override { call_->end_by({.code = ErrorCode::kCancelled, .what = "the call was given up"}); }
  [[nodiscard]] const Status& status() const noexcept override { return call_->status(); }

 private:
  std::shared_ptr<Call> call_;
};

class ClientLink final : public net::H2Link {
 public:
  ClientLink(Loop& loop, std::shared_ptr<net::Stream> stream, const ChannelOptions& options)
      : H2Link{loop, std::move(stream), options.address.to_string(), options.link}, session_{options.h2} {}
  [[nodiscard]] net::H2Session& session() noexcept override { return session_; }

 private:
  net::H2Session session_;
};

}  // namespace

struct Channel::State {
  State(Loop& on, ChannelOptions with) : loop{on}, options{std::move(with)}, changed{on} {}

  Loop& loop;
  const ChannelOptions options;
  std::shared_ptr<ClientLink> link;              // null: not connected
  std::vector<std::weak_ptr<ClientLink>> links;  // and those before it, whose calls go on
  std::optional<net::Dial> dial;                 // while it connects
  Event changed;                                 // set when it no longer does
  TimePoint not_before{};
  milliseconds pause{0};
  Error failure{};  // of the last attempt
  bool closed = false;

  [[nodiscard]] bool is_connected() const {
    return link && !link->session().done() && !link->session().peer_goes_away();
  }

  /// The attempt that is under way ends with this, also if its coroutine is destroyed.
  struct Attempt {
    State& of;
    ~Attempt() { of.dial.reset(); }
  };

  /// One attempt, by whoever comes first; the others wait for it, until `deadline` at most.
  static Task<Result<void>> connect(std::shared_ptr<State> self, TimePoint deadline) {
    while (self->dial && !self->closed) {
      self->changed.reset();
      const bool ended = co_await self->changed.wait_until(deadline);
      if (!ended) co_return fail(ErrorCode::kDeadlineExceeded, "the call's deadline passed while connecting");
    }
    if (self->closed) co_return fail(ErrorCode::kCancelled, "the channel is closed");
    if (self->is_connected()) co_return Result<void>{};
    if (SteadyClock::now() < self->not_before) co_return std::unexpected(self->failure);
    self->dial.emplace(self->loop, self->options.address,
                       net::DialOptions{.timeout = self->options.connect_timeout,
                                        .protocol = net::TlsProtocol::kHttp2,
                                        .tls = self->options.tls,
                                        .make =
                                            [&loop = self->loop] {
                                              return std::make_shared<net::Stream>(loop, net::Socket{loop.executor()},
                                                                                   kBuffer);
                                            },
                                        .drop = [](const std::shared_ptr<net::Stream>& stream) { stream->close(); }});
    auto made = co_await dial_once(self);
    self->changed.set();
    if (!made) {
      const milliseconds doubled = self->pause * 2;
      self->pause = std::clamp(doubled, self->options.pause_min, self->options.pause_max);
      self->not_before = SteadyClock::now() + self->pause;
      self->failure = made.error();
      co_return std::unexpected(std::move(made).error());
    }
    if (self->closed) {
      (*made)->close();
      co_return fail(ErrorCode::kCancelled, "the channel is closed");
    }
    (*made)->clear_deadline();
    self->pause = milliseconds{0};
    self->link = std::make_shared<ClientLink>(self->loop, *std::move(made), self->options);
    std::erase_if(self->links, [](const auto& each) { return each.expired(); });
    self->links.push_back(self->link);
    self->loop.spawn(net::H2Link::run(self->link));
    co_return Result<void>{};
  }

  static Task<Result<std::shared_ptr<net::Stream>>> dial_once(std::shared_ptr<State> self) {
    const Attempt attempt{*self};
    auto made = co_await self->dial->run();
    co_return made;
  }

  static Task<Result<std::unique_ptr<ClientCall>>> open(std::shared_ptr<State> self, std::string path,
                                                        net::Headers metadata, Duration timeout) {
    const TimePoint begun = SteadyClock::now();
    const Duration patience = timeout > Duration::zero() ? timeout : Duration{self->options.connect_timeout};
    if (!self->is_connected()) LLMD_CO_TRY_VOID(co_await connect(self, begun + patience));
    const Duration left = timeout > Duration::zero() ? timeout - (SteadyClock::now() - begun) : Duration::zero();
    if (timeout > Duration::zero() && left <= Duration::zero())
      co_return fail(ErrorCode::kDeadlineExceeded, "the call's deadline passed while connecting");
    net::Headers head;
    head.add(":method", "POST");
    head.add(":scheme", self->options.address.tls ? "https" : "http");
    head.add(":path", std::move(path));
    net::Address authority = self->options.address;
    authority.tls = false;
    head.add(":authority", authority.is_unix() ? "localhost" : authority.to_string());
    head.add("content-type", std::string{kContentType});
    head.add("te", "trailers");
    if (timeout > Duration::zero()) {
      const auto whole = std::max<std::int64_t>(1, std::chrono::duration_cast<milliseconds>(left).count());
      head.add("grpc-timeout", fmt::format("{}m", std::min<std::int64_t>(whole, 99'999'999)));
    }
    for (const auto& [name, value] : metadata) head.add(name, value);
    auto call = std::make_shared<Call>(self->link, self->options.messages);
    LLMD_CO_TRY_VOID(call->begin(head, left));
    co_return std::unique_ptr<ClientCall>{std::make_unique<Handle>(std::move(call))};
  }
};

Channel::Channel(Loop& loop, ChannelOptions options) : state_{std::make_shared<State>(loop, std::move(options))} {}

Channel::~Channel() { close(); }

void Channel::close() {
  state_->closed = true;
  if (state_->dial) state_->dial->cancel();
  for (const auto& weak : std::exchange(state_->links, {})) {
    if (const auto link = weak.lock()) link->close();
  }
}

Task<Result<std::unique_ptr<ClientCall>>> Channel::open(std::string path, net::Headers metadata, Duration timeout) {
  return State::open(state_, std::move(path), std::move(metadata), timeout);
}

Task<Result<std::string>> Channel::ask(std::string path, std::string message, net::Headers metadata, Duration timeout) {
  LLMD_CO_TRY(const auto call, co_await open(std::move(path), std::move(metadata), timeout));
  std::vector<net::H2Bytes> pieces;
  pieces.push_back(net::own(std::move(message)));
  LLMD_CO_TRY_VOID(co_await call->write(std::move(pieces)));
  call->finish_writing();
  LLMD_CO_TRY(auto answer, co_await call->read());
  if (answer) {
    LLMD_CO_TRY(const auto more, co_await call->read());
    if (more) co_return fail(ErrorCode::kProtocol, "a second message for one question");
  }
  const Status& status = call->status();
  if (!status.ok()) {
    co_return fail(ErrorCode::kUpstreamFailed,
                   fmt::format("gRPC status {}: {}", static_cast<int>(status.code), status.message));
  }
  if (!answer) co_return fail(ErrorCode::kProtocol, "the answer has no message");
  co_return *std::move(answer);
}

}  // namespace llmd::rpc
