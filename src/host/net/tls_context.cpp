#include "net/tls_context.h"

#include "net/pem.h"

namespace llmd::net {

std::shared_ptr<SSL_CTX> make_tls_context(const SSL_METHOD* method) {
  SSL_CTX* const context = SSL_CTX_new(method);
  if (context == nullptr) return nullptr;
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // An idle connection keeps no record buffers; a busy one reads several records at once.
  SSL_CTX_set_mode(context,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // tickets resume sessions, and need no memory here
  return {context, SSL_CTX_free};
}

Result<void> use_certificate(SSL_CTX* context, std::string_view certificates, std::string_view key) {
  LLMD_TRY(const auto chain, read_certificates(certificates));
  LLMD_TRY(const auto private_key, read_key(key));
  const auto failed = [] {
    return fail(ErrorCode::kFileInvalid, "the certificate cannot be used: " + openssl_reason());
  };
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1) return failed();
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) return failed();
  }
  if (SSL_CTX_use_PrivateKey(context, private_key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    return failed();
  return {};
}

Result<void> trust(SSL_CTX* context, std::string_view certificates) {
  LLMD_TRY(const auto roots, read_certificates(certificates));
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  for (const X509Pointer& root : roots) {
    if (X509_STORE_add_cert(store, root.get()) != 1)
      return fail(ErrorCode::kFileInvalid, "a certificate cannot be trusted: " + openssl_reason());
  }
  return {};
}

std::string_view alpn_of(TlsProtocol protocol) noexcept {
  return protocol == TlsProtocol::kHttp2 ? std::string_view{"\x02h2"} : std::string_view{"\x08http/1.1"};
}

}  // namespace llmd::net
