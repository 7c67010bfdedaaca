#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "net/tls_session.h"

struct ssl_ctx_st;

namespace llmd::net {

/// PEM texts: see read_pem_file().
struct TlsClientOptions {
  std::string ca{};           // roots that are trusted; empty: the system's
  std::string server_name{};  // that its certificate must be of; empty: the host of the address
  std::string certificate{};  // of this side, if the server asks for one; with its key
  std::string key{};
  bool insecure = false;  // any certificate will do
};

/// Whom a client trusts, and who it is. Thread-safe.
class TlsClient {
 public:
  /// Errors: kFileInvalid (CA, certificate or key).
  [[nodiscard]] static Result<std::shared_ptr<const TlsClient>> make(TlsClientOptions options);

  /// The client's side of a new connection to `host`, a name or an IP address.
  [[nodiscard]] std::unique_ptr<TlsSession> session(TlsProtocol protocol, const std::string& host) const;

 private:
  TlsClient(TlsClientOptions options, std::shared_ptr<ssl_ctx_st> context)
      : options_{std::move(options)}, context_{std::move(context)} {}

  const TlsClientOptions options_;
  const std::shared_ptr<ssl_ctx_st> context_;
};

}  // namespace llmd::net
