#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "net/certificate.h"
#include "net/tls_session.h"
#include "runtime/loop.h"

struct ssl_ctx_st;

namespace llmd::net {

struct TlsServerOptions {
  /// Holds tls.crt and tls.key, as a mounted Kubernetes secret does. Empty: a certificate that signs itself is made, as
  /// llm-d's endpoint picker does it (organisation "Inference Ext", 10 years).
  std::string directory{};
  std::string min_version{};                 // VersionTLS12, VersionTLS13; empty: VersionTLS12
  std::vector<std::string> cipher_suites{};  // of TLS 1.2, by IANA's names; empty: ECDHE with AES-GCM or ChaCha20
  std::string client_ca_file{};              // clients must have a certificate of these; empty: none is asked for
  Duration handshake_timeout = seconds{10};  // from the connection's begin
};

/// The certificate that servers show, and what they agree to. Thread-safe: several servers on any loops may share it.
class TlsServer {
 public:
  /// Errors: kFileNotFound, kFileInvalid (of certificate, key or CA file; a key of another certificate), kConfigInvalid
  /// (an unknown version or cipher suite).
  [[nodiscard]] static Result<std::shared_ptr<TlsServer>> make(TlsServerOptions options);
  ~TlsServer();
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  /// The server's side of a new connection. A client that offers other protocols only is refused in the handshake.
  [[nodiscard]] std::unique_ptr<TlsSession> session(TlsProtocol protocol) const;

  /// Reads the files again if they have changed since. New connections have the new certificate. True: it was read.
  /// Errors as make(); the old certificate stays, and the same files are not tried again.
  [[nodiscard]] Result<bool> reload_if_changed();
  /// Does so each second on `loop`, and logs what came of it, as long as `server` lives.
  static void watch(const std::shared_ptr<TlsServer>& server, Loop& loop, Duration interval = seconds{1});

  [[nodiscard]] const TlsServerOptions& options() const noexcept { return options_; }

 private:
  using Context = std::shared_ptr<ssl_ctx_st>;
  explicit TlsServer(TlsServerOptions options);
  [[nodiscard]] Result<Context> load() const;
  [[nodiscard]] Result<Context> context_of(const Certificate& certificate) const;
  [[nodiscard]] std::string stamp() const;

  const TlsServerOptions options_;
  std::mutex reload_mutex_;
  std::string stamp_;  // of the files that were read last; under reload_mutex_
  mutable std::mutex mutex_;
  Context context_;  // under mutex_
};

}  // namespace llmd::net
