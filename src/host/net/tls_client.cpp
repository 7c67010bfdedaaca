#include "net/tls_client.h"

#include <openssl/x509v3.h>

#include <utility>

#include "net/pem.h"
#include "net/tls_context.h"

namespace llmd::net {

Result<std::shared_ptr<const TlsClient>> TlsClient::make(TlsClientOptions options) {
  std::shared_ptr<SSL_CTX> context = make_tls_context(TLS_client_method());
  if (!context) return fail(ErrorCode::kInternal, "no TLS context: " + openssl_reason());
  SSL_CTX_set_verify(context.get(), options.insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
  if (!options.ca.empty()) {
    LLMD_TRY_VOID(trust(context.get(), options.ca));
  } else if (!options.insecure) {
    SSL_CTX_set_default_verify_paths(context.get());
  }
  if (!options.certificate.empty()) {
    LLMD_TRY_VOID(use_certificate(context.get(), options.certificate, options.key));
  }
  return std::shared_ptr<const TlsClient>{new TlsClient{std::move(options), std::move(context)}};
}

std::unique_ptr<TlsSession> TlsClient::session(TlsProtocol protocol, const std::string& host) const {
  SSL* const ssl = SSL_new(context_.get());
  if (ssl == nullptr) return nullptr;
  auto session = std::make_unique<TlsSession>(ssl);
  SSL_set_connect_state(ssl);
  const std::string& name = options_.server_name.empty() ? host : options_.server_name;
  X509_VERIFY_PARAM* const expected = SSL_get0_param(ssl);
  bool named = X509_VERIFY_PARAM_set1_ip_asc(expected, name.c_str()) == 1;
  if (!named) {  // RFC 6066: an address is not sent as a name
    X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    named = X509_VERIFY_PARAM_set1_host(expected, name.c_str(), name.size()) == 1 &&
            SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,  // the macro casts in the old style
                     const_cast<char*>(name.c_str())) == 1;
  }
  const std::string_view offer = alpn_of(protocol);
  SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(offer.data()), static_cast<unsigned>(offer.size()));
  return named ? std::move(session) : nullptr;
}

}  // namespace llmd::net
