#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/error.h"
#include "net/address.h"
#include "net/resolve.h"
#include "net/stream.h"
#include "net/tls_client.h"
#include "runtime/loop.h"

namespace llmd::net {

struct DialOptions {
  milliseconds timeout{2'000};  // of all together
  TlsProtocol protocol = TlsProtocol::kHttp1;
  std::shared_ptr<const TlsClient> tls{};                      // for addresses with TLS
  std::function<std::shared_ptr<Stream>()> make{};             // an unconnected one
  std::function<void(const std::shared_ptr<Stream>&)> drop{};  // one that did not come to be
};

/// Makes a connection: looks the host up, connects to the first of its addresses that takes one, begins TLS. On one
/// loop; to be kept until run() is done.
class Dial {
 public:
  Dial(Loop& loop, Address address, DialOptions options)
      : loop_{loop}, address_{std::move(address)}, options_{std::move(options)} {}

  /// Once. Errors: kConnectionRefused, kConnectionClosed, kDeadlineExceeded, kCancelled, kProtocol (a certificate that
  /// is not trusted, say), kAddressInvalid (TLS is wanted, and there is none).
  [[nodiscard]] Task<Result<std::shared_ptr<Stream>>> run();
  /// run() ends with kCancelled.
  void cancel();

 private:
  [[nodiscard]] Task<Result<void>> start_tls();
  [[nodiscard]] Error failure(std::string_view wait) const;

  Loop& loop_;
  const Address address_;
  const DialOptions options_;
  std::shared_ptr<Resolution> resolution_;  // while the host is looked up
  std::shared_ptr<Stream> stream_;          // the one that is tried
  bool cancelled_ = false;
};

/// How a wait for `stream` ended early, about `address`: "ADDRESS: WAIT took longer than LIMIT ms" and the like.
[[nodiscard]] Error wait_failure(const Address& address, const Stream* stream, bool cancelled, std::string_view wait,
                                 milliseconds limit);

}  // namespace llmd::net
