#include "net/client.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>

#include "net/client_pool.h"
#include "net/dial.h"
#include "net/head_writer.h"
#include "net/http_parser.h"

namespace llmd::net {
namespace {

constexpr int kInterimAnswersMax = 16;

std::string host_field(const Address& address) {
  if (address.is_unix()) return "localhost";
  if (!address.tls) return address.to_string();
  Address host = address;
  host.tls = false;
  return host.to_string();
}

/// One request and its answer.
class Call final : public ClientResponse {
 public:
  Call(std::shared_ptr<ClientPool> pool, Address address, CancelToken* token)
      : pool_{std::move(pool)}, address_{std::move(address)}, token_{token} {
    if (token_ != nullptr) token_->set(this, [this] { cancel(); });
  }
  ~Call() override {
    if (token_ != nullptr) token_->set(this, nullptr);
    if (stream_) end_early();
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  /// Error kConnectionClosed with retry() true: the connection came from the pool and was closed meanwhile.
  [[nodiscard]] Task<Result<void>> run(ClientRequest request, bool may_reuse);
  [[nodiscard]] bool retry() const noexcept { return reused_ && !answer_began_; }

  [[nodiscard]] int status() const noexcept override { return status_; }
  [[nodiscard]] const Headers& headers() const noexcept override { return headers_; }
  Task<Result<std::string_view>> read() override;
  Task<Result<std::string>> read_all(std::size_t bytes_max) override;

 private:
  [[nodiscard]] Task<Result<void>> connect();
  [[nodiscard]] Task<Result<void>> send(const ClientRequest& request);
  [[nodiscard]] Task<Result<void>> read_head(std::string_view method);
  [[nodiscard]] Result<std::string_view> buffered_piece();
  [[nodiscard]] Task<Result<void>> wait_body();
  [[nodiscard]] bool at_end();
  [[nodiscard]] bool read_past_buffer(std::string& body, std::size_t room);
  void cancel();
  void release();
  void end_early();
  [[nodiscard]] Error failure(std::string_view wait, std::chrono::milliseconds limit) const;
  [[nodiscard]] std::unexpected<Error> protocol_error(const Error& reason);

  std::shared_ptr<ClientPool> pool_;
  Address address_;
  CancelToken* token_;
  std::optional<Dial> dial_;        // while it connects
  std::shared_ptr<Stream> stream_;  // null once it is given back
  bool reused_ = false;
  bool answer_began_ = false;
  bool cancelled_ = false;

  int status_ = 0;
  Headers headers_;
  Framing framing_;
  ChunkedDecoder decoder_;
  std::uint64_t left_ = 0;      // with kLength
  std::uint64_t received_ = 0;  // of the body
  std::size_t shown_ = 0;       // input that the last read() returned, with its framing
};

void Call::cancel() {
  cancelled_ = true;
  if (dial_) dial_->cancel();
  if (stream_) stream_->interrupt(Stream::Interrupt::kCancelled);
}

Error Call::failure(std::string_view wait, std::chrono::milliseconds limit) const {
  return wait_failure(address_, stream_.get(), cancelled_, wait, limit);
}

std::unexpected<Error> Call::protocol_error(const Error& reason) {
  return fail(ErrorCode::kProtocol, fmt::format("{}: {}", address_.to_string(), reason.what));
}

Task<Result<void>> Call::run(ClientRequest request, bool may_reuse) {
  if (may_reuse) stream_ = pool_->take(address_);
  reused_ = stream_ != nullptr;
  if (!stream_) LLMD_CO_TRY_VOID(co_await connect());
  auto sent = co_await send(request);
  if (!sent && sent.error().code != ErrorCode::kConnectionClosed) co_return sent;
  // A peer may answer (413, say) and close before it has read all: the answer counts, not the failed write.
  auto got = co_await read_head(request.method);
  if (!got) co_return got;
  if (!sent) framing_.keep_alive = false;
  left_ = framing_.content_length;
  if (framing_.body == BodyKind::kNone) release();
  co_return Result<void>{};
}

Task<Result<void>> Call::connect() {
  const auto& options = pool_->options;
  dial_.emplace(pool_->loop, address_,
                DialOptions{.timeout = options.connect_timeout,
                            .tls = options.tls,
                            .make = [pool = pool_] { return pool->make(); },
                            .drop = [pool = pool_](const std::shared_ptr<Stream>& stream) { pool->drop(stream); }});
  auto made = co_await dial_->run();
  dial_.reset();
  if (!made) co_return std::unexpected(std::move(made).error());
  stream_ = *std::move(made);
  co_return Result<void>{};
}

Task<Result<void>> Call::send(const ClientRequest& request) {
  std::string head;
  head.reserve(512);
  const std::string host = host_field(address_);
  append_request_head(
      head, {.method = request.method, .target = request.target, .host = host, .content_length = request.body.size()},
      request.headers);
  std::array<iovec, 2> pieces{piece_of(head), piece_of(request.body)};
  std::span<iovec> left{pieces.data(), request.body.empty() ? 1U : 2U};
  stream_->set_deadline(SteadyClock::now() + pool_->options.response_timeout);
  auto complete = stream_->try_write(left);
  if (!complete) co_return std::unexpected(failure("sending the request", {}));
  if (*complete) co_return Result<void>{};
  auto sent = co_await stream_->write(left, pool_->options.read_timeout);
  if (!sent) co_return std::unexpected(failure("sending the request", pool_->options.read_timeout));
  stream_->set_deadline(SteadyClock::now() + pool_->options.response_timeout);
  co_return Result<void>{};
}

Task<Result<void>> Call::read_head(std::string_view method) {
  HeadScanner scanner;
  int interim = 0;
  while (true) {
    const std::string_view input = stream_->input();
    answer_began_ = answer_began_ || !input.empty();
    const auto head_bytes = scanner.scan(input);
    if (!head_bytes) co_return protocol_error(head_bytes.error());
    if (*head_bytes > 0) {
      auto framing = parse_response_head(input.substr(0, *head_bytes), method, status_, headers_);
      if (!framing) co_return protocol_error(framing.error());
      stream_->consume(*head_bytes);
      if (status_ >= 200) {
        framing_ = *framing;
        stream_->clear_deadline();
        co_return Result<void>{};
      }
      if (status_ == 101 || ++interim > kInterimAnswersMax) {
        co_return protocol_error({.what = "an interim answer that was not asked for, or too many of them"});
      }
      scanner.reset();
      continue;
    }
    if (input.size() >= pool_->options.header_bytes_max) {
      co_return protocol_error({.what = fmt::format("the head of the answer is longer than {} bytes", input.size())});
    }
    const auto limit = pool_->options.response_timeout;
    if (stream_->ended()) co_return std::unexpected(failure("waiting for the answer", limit));
    co_await stream_->wait_input();
    if (stream_->interrupted() != Stream::Interrupt::kNone) {
      co_return std::unexpected(failure("waiting for the answer", limit));
    }
  }
}

/// The next data of the body that is in the buffer; empty if more must come, or at the end.
Result<std::string_view> Call::buffered_piece() {
  const std::string_view input = stream_->input();
  std::string_view piece;
  if (framing_.body == BodyKind::kLength) {
    piece = input.substr(0, left_);
    left_ -= piece.size();
    shown_ = piece.size();
  } else if (framing_.body == BodyKind::kUntilClose) {
    piece = input;
    shown_ = piece.size();
  } else if (framing_.body == BodyKind::kChunked) {
    const auto next = decoder_.next(input);
    if (!next) return protocol_error(next.error());
    piece = next->data;
    shown_ = next->consumed;
  }
  if (piece.empty()) stream_->consume(std::exchange(shown_, 0));
  received_ += piece.size();
  return piece;
}

bool Call::at_end() {
  switch (framing_.body) {
    case BodyKind::kNone: return true;
    case BodyKind::kLength: return left_ == 0;
    case BodyKind::kChunked: return decoder_.done();
    case BodyKind::kUntilClose: return stream_->ended() && !stream_->broken() && stream_->input().empty();
  }
  return true;
}

Task<Result<void>> Call::wait_body() {
  const auto limit = pool_->options.read_timeout;
  if (stream_->ended()) {
    co_return fail(ErrorCode::kConnectionClosed,
                   fmt::format("{}: the answer was cut after {} bytes of its body", address_.to_string(), received_));
  }
  stream_->set_deadline(SteadyClock::now() + limit);
  co_await stream_->wait_input();
  if (stream_->interrupted() == Stream::Interrupt::kNone) co_return Result<void>{};
  co_return std::unexpected(failure("waiting for more of the answer's body", limit));
}

Task<Result<std::string_view>> Call::read() {
  if (!stream_) co_return std::string_view{};
  stream_->consume(std::exchange(shown_, 0));
  while (true) {
    if (cancelled_) co_return std::unexpected(failure("reading the answer's body", {}));
    LLMD_CO_TRY(const std::string_view piece, buffered_piece());
    if (!piece.empty()) co_return piece;
    if (at_end()) {
      release();
      co_return std::string_view{};
    }
    LLMD_CO_TRY_VOID(co_await wait_body());
  }
}

/// Fills `body` from the socket without the detour through the buffer. False if there was nothing more to get now.
bool Call::read_past_buffer(std::string& body, std::size_t room) {
  if (framing_.body != BodyKind::kLength || left_ == 0 || stream_->reading() || !stream_->input().empty()) return false;
  const std::size_t had = body.size();
  const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left_, room));
  std::ptrdiff_t got = -1;
  body.resize_and_overwrite(had + wanted, [&](char* data, std::size_t) {
    got = stream_->read_now(data + had, wanted);
    return had + static_cast<std::size_t>(std::max<std::ptrdiff_t>(got, 0));
  });
  left_ -= body.size() - had;
  received_ += body.size() - had;
  return got == static_cast<std::ptrdiff_t>(wanted);
}

Task<Result<std::string>> Call::read_all(std::size_t bytes_max) {
  constexpr std::size_t kStepBytes = 256 * 1024;  // a length stated and never sent costs no more memory
  const auto too_large = [&] {
    return fail(ErrorCode::kBodyTooLarge,
                fmt::format("{}: the body of the answer is longer than {} bytes", address_.to_string(), bytes_max));
  };
  std::string body;
  while (true) {
    const std::uint64_t known = body.size() + (framing_.body == BodyKind::kLength ? left_ : 0);
    if (known > bytes_max) co_return too_large();
    if (framing_.body == BodyKind::kLength && body.capacity() < known) {
      body.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(known, body.size() + kStepBytes)));
    }
    LLMD_CO_TRY(const std::string_view piece, co_await read());
    if (piece.empty()) co_return body;
    if (piece.size() > bytes_max - body.size()) co_return too_large();
    body += piece;
    stream_->consume(std::exchange(shown_, 0));
    while (read_past_buffer(body, kStepBytes)) {
    }
  }
}

/// The answer is complete: the connection serves the next call.
void Call::release() {
  const std::shared_ptr<Stream> stream = std::exchange(stream_, nullptr);
  stream->clear_deadline();
  if (framing_.keep_alive && !stream->ended() && stream->input().empty() && !cancelled_) {
    pool_->give(address_, stream);
  } else {
    pool_->drop(stream);
  }
}

/// The caller wants no more. What is left may be no more than framing that is already here.
void Call::end_early() {
  stream_->consume(std::exchange(shown_, 0));
  const bool framing_only = framing_.body == BodyKind::kChunked && status_ != 0 && !decoder_.done();
  if (framing_only && !cancelled_) {
    const auto next = decoder_.next(stream_->input());
    if (next && next->data.empty()) stream_->consume(next->consumed);
  }
  if (status_ != 0 && framing_.body != BodyKind::kUntilClose && at_end()) {
    release();
  } else {
    pool_->drop(std::exchange(stream_, nullptr));
  }
}

Task<Result<std::unique_ptr<ClientResponse>>> send_on(std::shared_ptr<ClientPool> pool, Address address,
                                                      ClientRequest request, CancelToken* token) {
  if (!is_valid_target(request.target)) {
    co_return fail(ErrorCode::kInvalidRequest, "the target of a request is not visible ASCII", "percent-encode it");
  }
  for (int attempt = 0; attempt < 2; ++attempt) {
    const bool may_reuse = attempt == 0;
    if (token != nullptr && token->cancelled()) {
      co_return fail(ErrorCode::kCancelled, fmt::format("{}: cancelled before the request", address.to_string()));
    }
    auto call = std::make_unique<Call>(pool, address, token);
    auto done = co_await call->run(request, may_reuse);
    if (done) co_return std::unique_ptr<ClientResponse>{std::move(call)};
    const bool stale = done.error().code == ErrorCode::kConnectionClosed && call->retry();
    if (!stale || !may_reuse) co_return std::unexpected(std::move(done).error());
  }
  co_return fail(ErrorCode::kInternal, "unreachable");
}

}  // namespace

void CancelToken::cancel() {
  if (std::exchange(cancelled_, true)) return;
  for (auto& [owner, callback] : std::exchange(callbacks_, {})) callback();
}

void CancelToken::set(const void* owner, std::move_only_function<void()> callback) {
  std::erase_if(callbacks_, [owner](const auto& entry) { return entry.first == owner; });
  if (callback) callbacks_.emplace_back(owner, std::move(callback));
}

struct Client::Impl {
  std::shared_ptr<ClientPool> pool;
};

Client::Client(Loop& loop, ClientOptions options)
    : impl_{std::make_shared<Impl>(std::make_shared<ClientPool>(loop, options))} {}

Client::~Client() { impl_->pool->close_idle(); }

Task<Result<std::unique_ptr<ClientResponse>>> Client::send(const Address& address, ClientRequest request,
                                                           CancelToken* token) {
  return send_on(impl_->pool, address, request, token);
}

void Client::on_idle_end(std::function<void(const Address&)> ended) { impl_->pool->idle_ended = std::move(ended); }

std::size_t Client::connections() const noexcept { return impl_->pool->open(); }

}  // namespace llmd::net
