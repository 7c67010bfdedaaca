#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "net/address.h"
#include "net/h2_link.h"
#include "net/tls_client.h"
#include "rpc/message_stream.h"
#include "rpc/status.h"
#include "runtime/loop.h"

namespace llmd::rpc {

/// The client's side of one call, of any of gRPC's four kinds. On its channel's loop; destroying it before the end
/// cancels the call.
class ClientCall {
 public:
  virtual ~ClientCall() = default;

  /// The next message of the server; nothing: it has ended, and status() tells how. Errors: kCancelled,
  /// kDeadlineExceeded, kConnectionClosed, kBodyTooLarge, kProtocol.
  [[nodiscard]] virtual Task<Result<std::optional<std::string>>> read() = 0;
  /// Sends one message, as ServerCall::write().
  [[nodiscard]] virtual Task<Result<void>> write(std::vector<net::H2Bytes> message) = 0;
  /// Nothing more is sent.
  virtual void finish_writing() = 0;
  /// Ends the call on both sides.
  virtual void cancel() = 0;
  /// Once read() has returned nothing or an error.
  [[nodiscard]] virtual const Status& status() const noexcept = 0;
};

struct ChannelOptions {
  net::Address address;
  std::shared_ptr<const net::TlsClient> tls{};  // for an address with TLS
  MessageLimits messages{};
  net::H2Limits h2{};
  // Servers of gRPC's Go end connections that ask more often, or without a call.
  net::H2LinkOptions link{.ping_interval = std::chrono::minutes{5}, .pings_idle = false};
  milliseconds connect_timeout{5'000};
  milliseconds pause_min{200};     // after a failed attempt to connect, doubling with each;
  milliseconds pause_max{10'000};  // until then calls fail at once
};

/// gRPC's client: calls to one address over one connection, which is made when it is needed and made anew when it is
/// gone. On one loop, which must outlive it.
class Channel {
 public:
  Channel(Loop& loop, ChannelOptions options);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Begins a call of "/package.Service/Method". `metadata`: further fields. `timeout` zero: none. Errors as
  /// net::Dial's, and kConnectionClosed.
  [[nodiscard]] Task<Result<std::unique_ptr<ClientCall>>> open(std::string path, net::Headers metadata,
                                                               Duration timeout);
  /// One message there and one back. Errors as above and of ClientCall::read(); a status other than OK is
  /// kUpstreamFailed with its text.
  [[nodiscard]] Task<Result<std::string>> ask(std::string path, std::string message, net::Headers metadata,
                                              Duration timeout);
  /// Cuts the connection and all calls.
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace llmd::rpc
