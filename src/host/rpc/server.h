#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/budget.h"
#include "base/clock.h"
#include "base/error.h"
#include "net/h2_server.h"
#include "rpc/message_stream.h"
#include "rpc/status.h"
#include "runtime/loop.h"

namespace llmd::rpc {

/// The server's side of one call, of any of gRPC's four kinds. Used on the connection's loop only, by the method's
/// coroutine and its children.
class ServerCall {
 public:
  virtual ~ServerCall() = default;

  /// The request's fields, names in lower case.
  [[nodiscard]] virtual const net::Headers& metadata() const noexcept = 0;
  [[nodiscard]] virtual const std::string& peer() const noexcept = 0;
  [[nodiscard]] virtual Loop& loop() noexcept = 0;

  /// The next message; nothing: the client has sent all. One reader at a time. Errors: kCancelled (the client left, or
  /// the connection), kDeadlineExceeded, kBodyTooLarge, kBudgetExhausted, kProtocol.
  [[nodiscard]] virtual Task<Result<std::optional<std::string>>> read() = 0;
  /// Sends one message, given in pieces that are not copied. Waits while MessageLimits::unsent_bytes_max are on their
  /// way. Errors: kCancelled, kDeadlineExceeded.
  [[nodiscard]] virtual Task<Result<void>> write(std::vector<net::H2Bytes> message) = 0;
  /// Called once, on the loop, if the call is cut before its method has returned (also at once, if it already was).
  /// A later call replaces the callback; nullptr removes it.
  virtual void on_cancel(std::move_only_function<void()> callback) = 0;
  [[nodiscard]] virtual bool cancelled() const noexcept = 0;
  /// Ends a read() that waits, and all later ones, with kCancelled. The call goes on, and may be written to.
  virtual void stop_reading() = 0;
};

/// Serves a call; its status is the call's. What it did not read is thrown away.
using Method = std::function<Task<Status>(ServerCall& call)>;

struct ServerOptions {
  net::H2ServerOptions h2{};
  MessageLimits messages{};
};

/// gRPC over HTTP/2 (grpc/grpc, doc/PROTOCOL-HTTP2.md): framing, deadlines, status. Clients may send messages with
/// gzip; answers are not compressed. Messages are bytes here.
class Server {
 public:
  /// `methods` by path ("/package.Service/Method"); others are UNIMPLEMENTED. The loops must outlive the server.
  /// Errors: kAddressInUse, kAddressInvalid, kIo.
  [[nodiscard]] static Result<std::unique_ptr<Server>> listen(std::vector<Loop*> loops, ServerOptions options,
                                                              std::map<std::string, Method, std::less<>> methods);
  virtual ~Server() = default;

  [[nodiscard]] virtual const net::Address& address() const noexcept = 0;
  /// Calls whose method has not returned. Thread-safe, as all that follows.
  [[nodiscard]] virtual std::size_t calls() const noexcept = 0;
  virtual void drain() = 0;
  virtual void close() = 0;
};

/// A deadline as the field grpc-timeout has it ("100m": 100 ms), at most a year. Nothing if it is none.
[[nodiscard]] std::optional<Duration> parse_timeout(std::string_view text) noexcept;

}  // namespace llmd::rpc
