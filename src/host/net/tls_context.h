#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string_view>

#include "base/error.h"
#include "net/tls_session.h"

namespace llmd::net {

/// A context of TLS 1.2 and later, set up as TlsSession needs it. Null: OpenSSL has no memory.
[[nodiscard]] std::shared_ptr<SSL_CTX> make_tls_context(const SSL_METHOD* method);
/// Shows the certificate, with those that follow it. Error kFileInvalid.
[[nodiscard]] Result<void> use_certificate(SSL_CTX* context, std::string_view certificates, std::string_view key);
/// Trusts these certificates and who has one of them. Error kFileInvalid.
[[nodiscard]] Result<void> trust(SSL_CTX* context, std::string_view certificates);
/// As ALPN has it: a length and the name.
[[nodiscard]] std::string_view alpn_of(TlsProtocol protocol) noexcept;

}  // namespace llmd::net
