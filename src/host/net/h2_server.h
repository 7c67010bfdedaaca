#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "net/address.h"
#include "net/h2_connection.h"
#include "net/h2_link.h"
#include "net/h2_session.h"
#include "net/tls_server.h"
#include "runtime/loop.h"

namespace llmd::net {

struct H2ServerOptions {
  Address listen;
  H2Limits limits{};
  std::size_t connections_max = 1'000;  // further ones are closed at once
  H2LinkOptions link{};
  std::shared_ptr<const TlsServer> tls{};  // null: without TLS, by prior knowledge
  unsigned unix_mode = 0600;
};

/// HTTP/2 server. Accepts on the loops given, each connection staying on one.
class H2Server {
 public:
  /// Makes the stream of a request, see H2Session::OnRequest.
  using OnRequest = std::function<std::shared_ptr<H2Stream>(const std::shared_ptr<H2Connection>& connection,
                                                            H2StreamId id, Request head)>;

  /// Binds and listens. The loops must outlive the server. Errors: kAddressInUse, kAddressInvalid, kIo.
  [[nodiscard]] static Result<std::unique_ptr<H2Server>> listen(std::vector<Loop*> loops, H2ServerOptions options,
                                                                OnRequest on_request);
  virtual ~H2Server() = default;

  [[nodiscard]] virtual const Address& address() const noexcept = 0;  // with the port that was picked
  [[nodiscard]] virtual std::size_t connections() const noexcept = 0;
  /// Stops accepting and says so on each connection: streams that are open go on. Thread-safe.
  virtual void drain() = 0;
  /// Closes everything. Thread-safe.
  virtual void close() = 0;
};

}  // namespace llmd::net
