#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/budget.h"
#include "base/error.h"
#include "net/address.h"
#include "net/http.h"
#include "net/tls_server.h"
#include "runtime/loop.h"

namespace llmd::net {

/// What an HTTP server allows. Every limit has an answer of its own: see net/README.md.
struct ServerLimits {
  std::size_t header_bytes_max = 32 * 1024;        // 431
  std::size_t body_bytes_max = 100 * 1024 * 1024;  // 413
  std::size_t connections_max = 10'000;            // accepted, answered 503 and closed
  std::chrono::milliseconds header_timeout{
      10'000};  // from the first byte (408) ; idle connections close silently after idle_timeout
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds body_timeout{60'000};    // without progress (408)
  std::chrono::milliseconds body_time_max{600'000};  // for a whole body, however steadily it comes (408)
  std::chrono::milliseconds write_timeout{30'000};   // a client that does not read: the connection is closed
};

/// The answer side of one request. Used on the connection's loop only, by the handler's coroutine (and children of it).
/// The server keeps it alive until the handler returns; a handler that returns without an answer yields a 500.
class Exchange {
 public:
  virtual ~Exchange() = default;

  /// A whole answer. To HEAD only its head goes out. Fields that frame the message (Content-Length, Transfer-Encoding,
  /// Date) are the server's; "Connection: close" is obeyed. Error kConnectionClosed or kDeadlineExceeded (slow reader):
  /// nothing more can be sent.
  [[nodiscard]] virtual Task<Result<void>> respond(Response response) = 0;

  /// Head of a streamed answer: chunked, or with its length if `headers` has Content-Length. Then write() any number of
  /// times, then finish(). The head goes out with the first piece, or by itself when the loop comes round before there
  /// is one.
  [[nodiscard]] virtual Task<Result<void>> start(int status, Headers headers) = 0;
  /// One flush to the socket. `bytes` must live until it returns.
  [[nodiscard]] virtual Task<Result<void>> write(std::string_view bytes) = 0;
  [[nodiscard]] virtual Task<Result<void>> finish() = 0;

  /// Called once, on the loop, if the client closes before the answer is complete (also at once, if it already has).
  /// A later call replaces the callback; nullptr removes it.
  virtual void on_disconnect(std::move_only_function<void()> callback) = 0;
  [[nodiscard]] virtual bool disconnected() const noexcept = 0;
  /// Whether start() or respond() has put bytes out.
  [[nodiscard]] virtual bool started() const noexcept = 0;
  [[nodiscard]] virtual Loop& loop() noexcept = 0;
};

using Handler = std::function<Task<void>(Request request, Exchange& exchange)>;

struct ServerOptions {
  Address listen;
  ServerLimits limits{};
  std::shared_ptr<const TlsServer> tls{};  // null: plain HTTP
  Budget* body_budget = nullptr;           // all bodies being read draw on it; 503 when spent. Null: no total bound
  unsigned unix_mode = 0600;               // mode of a unix socket's file
  /// How the server's own errors (limits, malformed requests, a failing handler) look; the status is http_status(code).
  /// Empty: OpenAI's error shape as JSON.
  std::function<Response(const Error& error)> render_error{};
};

/// An error in OpenAI's shape: {"error":{"message","type","param","code"}}.
[[nodiscard]] Response default_error_response(const Error& error);

/// HTTP/1.1 server: keep-alive, pipelining, Expect: 100-continue, chunked bodies both ways. Accepts on the loops given,
/// each connection staying on one.
class Server {
 public:
  /// Binds and listens. The loops must outlive the server. Errors: kAddressInUse (names the port), kAddressInvalid,
  /// kIo.
  [[nodiscard]] static Result<std::unique_ptr<Server>> listen(std::vector<Loop*> loops, ServerOptions options,
                                                              Handler handler);
  virtual ~Server() = default;

  [[nodiscard]] virtual const Address& address() const noexcept = 0;  // with the port that was picked
  /// Stops accepting and closes idle connections; answers in flight go on, with Connection: close. Thread-safe.
  virtual void drain() = 0;
  /// Requests being handled. Thread-safe.
  [[nodiscard]] virtual std::size_t in_flight() const noexcept = 0;
  [[nodiscard]] virtual std::size_t connections() const noexcept = 0;
  /// Closes everything. Thread-safe.
  virtual void close() = 0;
};

}  // namespace llmd::net
