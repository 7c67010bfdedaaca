#include "net/connection.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <exception>

#include "telemetry/log.h"

namespace llmd::net {
namespace {

constexpr Duration kLingerMax = seconds{2};

Stream::Options stream_options(const ServerLimits& limits) {
  constexpr std::size_t kSmall = 4 * 1024;
  return {.buffer_bytes = kSmall, .buffer_bytes_max = std::max(limits.header_bytes_max, kSmall)};
}

bool says_close(const Headers& headers) noexcept {
  const auto value = headers.get("connection");
  return value && equals_ignoring_case(*value, "close");
}

bool status_has_body(int status) noexcept { return status >= 200 && status != 204 && status != 304; }

}  // namespace

Connection::Connection(Loop& loop, Socket socket, std::string peer, std::shared_ptr<ServerShared> shared,
                       std::shared_ptr<ConnectionSet> set)
    : loop_{loop},
      stream_{std::make_shared<Stream>(loop, std::move(socket), stream_options(shared->options.limits))},
      peer_{std::move(peer)},
      shared_{std::move(shared)},
      set_{std::move(set)},
      reader_{*stream_, shared_->options.limits, shared_->options.body_budget} {
  set_->insert(this);
}

Connection::~Connection() {
  stream_->on_input(nullptr);
  set_->erase(this);
  shared_->connections.fetch_sub(1);
}

Task<void> Connection::run(std::shared_ptr<Connection> self) {
  bool more = co_await self->begin();
  while (more) more = co_await self->serve_one();
  if (self->linger_) co_await self->linger();
  self->stream_->close();
}

Task<bool> Connection::begin() {
  const auto& tls = shared_->options.tls;
  if (!tls) co_return true;
  auto session = tls->session(TlsProtocol::kHttp1);
  stream_->set_deadline(SteadyClock::now() + tls->options().handshake_timeout);
  const auto done = co_await stream_->handshake(std::move(session));
  stream_->clear_deadline();
  if (!done) log::debug("{}: {}", peer_, done.error().what);
  co_return done.has_value();
}

Task<bool> Connection::serve_one() {
  Request request;
  Framing framing;
  const auto got = co_await reader_.read(request, framing);
  if (!got) {
    co_await refuse(got.error());
    co_return false;
  }
  if (!*got || stream_->interrupted() == Stream::Interrupt::kClosed) co_return false;
  prepare(request, framing);
  co_await handle(std::move(request));
  reader_.release_body();
  if (phase_ != Phase::kFinished) co_return false;  // an answer cut short must not look complete
  co_return keep_alive_ && !disconnected() && !shared_->draining.load(std::memory_order_relaxed);
}

void Connection::prepare(const Request& request, const Framing& framing) {
  ++request_number_;
  phase_ = Phase::kNotStarted;
  is_head_request_ = request.method == "HEAD";
  http_1_0_ = framing.http_1_0;
  keep_alive_ = framing.keep_alive;
  head_.clear();
}

Task<void> Connection::handle(Request request) {
  request.peer = peer_;
  handling_ = true;
  shared_->in_flight.fetch_add(1, std::memory_order_relaxed);
  stream_->on_input([this] { on_input_while_handling(); });
  stream_->start_read();  // sees a disconnect; what else comes is the next request
  const std::string_view shown = request.path().substr(0, 100);
  const std::string where = fmt::format("{} {}", request.method, shown);
  try {
    co_await shared_->handler(std::move(request), *this);
  } catch (const std::exception& e) {
    log::error("the handler of {} threw: {}", where, e.what());
  } catch (...) {
    log::error("the handler of {} threw something unknown", where);
  }
  shared_->in_flight.fetch_sub(1, std::memory_order_relaxed);
  handling_ = false;
  on_disconnect_ = nullptr;
  stream_->on_input(nullptr);
  if (phase_ == Phase::kNotStarted && !disconnected()) {
    const Error error{.code = ErrorCode::kInternal,
                      .what = "the request was not answered because of a fault of the server"};
    [[maybe_unused]] const auto sent = co_await respond(render(error));
  }
}

void Connection::on_input_while_handling() {
  if (!stream_->ended() && stream_->interrupted() == Stream::Interrupt::kNone) {
    if (!stream_->full()) stream_->start_read();  // the next request, pipelined
    return;
  }
  if (std::exchange(has_disconnected_, true)) return;
  if (auto callback = std::exchange(on_disconnect_, nullptr)) callback();
}

Response Connection::render(const Error& error) const {
  const auto& render_error = shared_->options.render_error;
  try {
    Response response = render_error ? render_error(error) : default_error_response(error);
    return response;
  } catch (const std::exception& e) {
    log::error("rendering an error failed: {}", e.what());
    return Response{.status = http_status(error.code)};
  }
}

Task<void> Connection::refuse(Error error) {
  ++request_number_;
  phase_ = Phase::kNotStarted;
  is_head_request_ = false;
  keep_alive_ = false;
  head_.clear();
  stream_->clear_deadline();
  linger_ = true;
  [[maybe_unused]] const auto sent = co_await respond(render(error));
}

/// Takes what the client still sends before closing: a close with unread input would reset the connection, and the
/// client might lose the answer.
Task<void> Connection::linger() {
  stream_->shut_down_output();
  stream_->set_deadline(SteadyClock::now() + kLingerMax);
  while (!stream_->ended() && stream_->interrupted() == Stream::Interrupt::kNone) {
    stream_->consume(stream_->input().size());
    co_await stream_->wait_input();
  }
}

void Connection::drain() {
  if (!handling_ && reader_.idle()) close();
}

void Connection::close() {
  stream_->close();
  has_disconnected_ = true;
  if (auto callback = std::exchange(on_disconnect_, nullptr)) callback();
}

bool Connection::disconnected() const noexcept {
  return has_disconnected_ || stream_->ended() || stream_->interrupted() == Stream::Interrupt::kClosed;
}

void Connection::on_disconnect(std::move_only_function<void()> callback) {
  if (callback && disconnected()) {
    callback();
    return;
  }
  on_disconnect_ = std::move(callback);
}

AnswerHead Connection::answer_head(int status, BodyKind body, std::uint64_t length, const Headers& headers) {
  keep_alive_ = keep_alive_ && !says_close(headers) && !shared_->draining.load(std::memory_order_relaxed);
  if (http_1_0_ && body == BodyKind::kChunked) body = BodyKind::kUntilClose;
  if (body == BodyKind::kUntilClose) keep_alive_ = false;
  if (!status_has_body(status)) body = BodyKind::kNone;
  body_kind_ = is_head_request_ ? BodyKind::kNone : body;
  body_left_ = length;
  return {.status = status,
          .body = body,
          .content_length = length,
          .close = !keep_alive_,
          .keep_alive = keep_alive_ && http_1_0_};
}

Task<Result<void>> Connection::respond(Response response) {
  if (started()) co_return fail(ErrorCode::kInternal, "an answer was started twice");
  phase_ = Phase::kFinished;
  append_answer_head(head_, answer_head(response.status, BodyKind::kLength, response.body.size(), response.headers),
                     response.headers);
  std::array<iovec, 2> pieces{piece_of(head_), piece_of(response.body)};
  const std::size_t count = body_kind_ == BodyKind::kNone || response.body.empty() ? 1 : 2;
  std::span<iovec> left{pieces.data(), count};
  auto sent = stream_->try_write(left);
  if (sent && *sent) co_return Result<void>{};
  if (!sent) {
    keep_alive_ = false;
    co_return std::unexpected(std::move(sent).error());
  }
  co_return co_await send(left);
}

Task<Result<void>> Connection::send(std::span<iovec> pieces) {
  auto sent = co_await stream_->write(pieces, shared_->options.limits.write_timeout);
  if (!sent) {
    keep_alive_ = false;
    stream_->close();  // half an answer is out: nothing else can be sent
    has_disconnected_ = true;
    if (auto callback = std::exchange(on_disconnect_, nullptr)) callback();
  }
  co_return sent;
}

Task<Result<void>> Connection::start(int status, Headers headers) {
  if (started()) co_return fail(ErrorCode::kInternal, "an answer was started twice");
  if (disconnected()) co_return fail(ErrorCode::kConnectionClosed, "the client closed the connection");
  phase_ = Phase::kStreaming;
  BodyKind body = BodyKind::kChunked;
  std::uint64_t length = 0;
  if (const auto stated = headers.get("content-length")) {
    const auto [end, status_of_parse] = std::from_chars(stated->data(), stated->data() + stated->size(), length);
    const bool valid = status_of_parse == std::errc{} && end == stated->data() + stated->size();
    if (!valid) co_return fail(ErrorCode::kInternal, "the handler's Content-Length is not a number");
    body = BodyKind::kLength;
  }
  append_answer_head(head_, answer_head(status, body, length, headers), headers);
  asio::post(loop_.executor(), [self = shared_from_this(), number = request_number_] { self->flush_head(number); });
  co_return Result<void>{};
}

void Connection::flush_head(std::uint64_t request_number) {
  if (request_number != request_number_ || phase_ != Phase::kStreaming || head_.empty()) return;
  std::array<iovec, 1> pieces{piece_of(head_)};
  std::span<iovec> left{pieces};
  const auto sent = stream_->try_write(left);
  if (!sent) return;  // the next write() meets the same error
  head_.erase(0, *sent ? head_.size() : head_.size() - left.front().iov_len);
}

Task<Result<void>> Connection::write(std::string_view bytes) {
  if (phase_ != Phase::kStreaming) co_return fail(ErrorCode::kInternal, "write() outside start() and finish()");
  if (disconnected()) co_return fail(ErrorCode::kConnectionClosed, "the client closed the connection");
  if (body_kind_ == BodyKind::kLength && bytes.size() > body_left_) {
    co_return fail(ErrorCode::kInternal, "the handler writes more than its Content-Length");
  }
  body_left_ -= std::min<std::uint64_t>(bytes.size(), body_left_);
  const std::string head = std::exchange(head_, {});
  std::array<char, 24> size_line{};
  std::array<iovec, 4> pieces{};
  std::size_t count = 0;
  if (!head.empty()) pieces[count++] = piece_of(head);
  if (body_kind_ != BodyKind::kNone && !bytes.empty()) {
    const bool chunked = body_kind_ == BodyKind::kChunked;
    if (chunked) {
      const auto end = fmt::format_to(size_line.data(), "{:x}\r\n", bytes.size());
      pieces[count++] = piece_of({size_line.data(), end});
    }
    pieces[count++] = piece_of(bytes);
    if (chunked) pieces[count++] = piece_of("\r\n");
  }
  co_return co_await send({pieces.data(), count});
}

Task<Result<void>> Connection::finish() {
  if (phase_ != Phase::kStreaming) co_return fail(ErrorCode::kInternal, "finish() without start(), or twice");
  if (disconnected()) co_return fail(ErrorCode::kConnectionClosed, "the client closed the connection");
  if (body_kind_ == BodyKind::kLength && body_left_ > 0) {
    co_return fail(ErrorCode::kInternal, "the handler wrote less than its Content-Length");
  }
  phase_ = Phase::kFinished;
  const std::string head = std::exchange(head_, {});
  std::array<iovec, 2> pieces{};
  std::size_t count = 0;
  if (!head.empty()) pieces[count++] = piece_of(head);
  if (body_kind_ == BodyKind::kChunked) pieces[count++] = piece_of("0\r\n\r\n");
  co_return co_await send({pieces.data(), count});
}

}  // namespace llmd::net
