#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "net/address.h"
#include "net/http.h"
#include "net/tls_client.h"
#include "runtime/loop.h"

namespace llmd::net {

struct ClientOptions {
  std::chrono::milliseconds connect_timeout{2'000};
  std::chrono::milliseconds response_timeout{600'000};  // from the request's last byte to the answer's head
  std::chrono::milliseconds read_timeout{600'000};      // between two pieces of the body
  std::chrono::milliseconds idle_timeout{30'000};       // a pooled connection is closed after it
  std::size_t idle_connections_max = 256;               // an address
  std::size_t header_bytes_max = 64 * 1024;             // kProtocol beyond
  std::shared_ptr<const TlsClient> tls{};               // for addresses with TLS
};

/// An answer whose body is still coming. Belongs to the loop of its client. Destroying it before the end closes the
/// connection, which is how a call is cancelled.
class ClientResponse {
 public:
  ClientResponse() = default;
  ClientResponse(const ClientResponse&) = delete;
  ClientResponse& operator=(const ClientResponse&) = delete;
  virtual ~ClientResponse() = default;
  [[nodiscard]] virtual int status() const noexcept = 0;
  [[nodiscard]] virtual const Headers& headers() const noexcept = 0;
  /// The next piece of the body as it came off the socket (chunk framing removed), empty at the end. The view is valid
  /// until the next read. Errors: kConnectionClosed (cut), kDeadlineExceeded, kProtocol, kCancelled.
  [[nodiscard]] virtual Task<Result<std::string_view>> read() = 0;
  /// The rest of the body. Error kBodyTooLarge beyond `bytes_max`.
  [[nodiscard]] virtual Task<Result<std::string>> read_all(std::size_t bytes_max) = 0;
};

/// Cancels calls from outside their coroutines (same loop): the pending read, write or connect ends with kCancelled.
/// Several calls may share one token.
class CancelToken {
 public:
  CancelToken() = default;
  CancelToken(const CancelToken&) = delete;
  CancelToken& operator=(const CancelToken&) = delete;

  void cancel();
  [[nodiscard]] bool cancelled() const noexcept { return cancelled_; }
  /// What to run on cancel, beside what the calls registered; replaces an earlier one, nullptr removes it.
  void on_cancel(std::move_only_function<void()> callback) { set(nullptr, std::move(callback)); }
  /// The same for one owner among several.
  void set(const void* owner, std::move_only_function<void()> callback);

 private:
  bool cancelled_ = false;
  std::vector<std::pair<const void*, std::move_only_function<void()>>> callbacks_;  // as many as calls
};

struct ClientRequest {
  std::string_view method = "GET";
  std::string_view target = "/";
  const Headers* headers =
      nullptr;  // Host and Content-Length are added; must live until send() returns, as must the views
  std::string_view body{};
};

/// HTTP/1.1 client, plain or over TLS, of one loop with a pool of connections an address. A pooled connection that
/// turns out to be closed before any byte of an answer came is replaced once by a fresh one, silently. Host names are
/// looked up off the loop. It must be destroyed before its loop; answers and calls in flight may outlive it.
class Client {
 public:
  Client(Loop& loop, ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Sends and waits for the head of the answer; interim answers (1xx) are skipped. Errors: kConnectionRefused,
  /// kConnectionClosed, kDeadlineExceeded, kProtocol (also of a certificate that is not trusted), kCancelled. `token`
  /// may be null; it must outlive the response.
  [[nodiscard]] Task<Result<std::unique_ptr<ClientResponse>>> send(const Address& address, ClientRequest request,
                                                                   CancelToken* token);

  /// Calls `ended` with the address of each idle connection that the other end closes: its process may be gone.
  void on_idle_end(std::function<void(const Address&)> ended);

  /// Open connections, idle and in use.
  [[nodiscard]] std::size_t connections() const noexcept;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace llmd::net
