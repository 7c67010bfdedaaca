#include "net/tls_server.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <iterator>
#include <utility>

#include "net/pem.h"
#include "net/tls_context.h"
#include "telemetry/log.h"

namespace llmd::net {
namespace {

constexpr std::string_view kOrganization = "Inference Ext";
// Of TLS 1.2: those with forward secrecy that RFC 9113, appendix A, lets HTTP/2 use.
constexpr const char* kSuites = "ECDHE+AESGCM:ECDHE+CHACHA20";

/// What the server speaks is with the connection: contexts are shared by servers of several protocols.
int choose_protocol(SSL* ssl, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned offered_size, void* /*user*/) {
  const auto own = *static_cast<const std::string_view*>(SSL_get_app_data(ssl));
  unsigned char* found = nullptr;
  const int verdict = SSL_select_next_proto(&found, size, reinterpret_cast<const unsigned char*>(own.data()),
                                            static_cast<unsigned>(own.size()), offered, offered_size);
  *chosen = found;
  return verdict == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

Result<int> version_of(std::string_view name) {
  if (name.empty() || name == "VersionTLS12") return TLS1_2_VERSION;
  if (name == "VersionTLS13") return TLS1_3_VERSION;
  if (name == "VersionTLS10" || name == "VersionTLS11") {
    log::warn("TLS before 1.2 is not spoken: {} is taken as VersionTLS12", name);
    return TLS1_2_VERSION;
  }
  return fail(ErrorCode::kConfigInvalid, fmt::format("the TLS version \"{}\" is unknown", name.substr(0, 100)),
              "write VersionTLS12 or VersionTLS13");
}

Result<void> set_suites(SSL_CTX* context, const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) {
    const std::string_view ours = OPENSSL_cipher_name(name.c_str());
    if (ours == "(NONE)") {
      return fail(ErrorCode::kConfigInvalid, fmt::format("the cipher suite \"{}\" is unknown", name.substr(0, 100)),
                  "write IANA's names, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
    }
    if (!ours.starts_with("TLS_")) fmt::format_to(std::back_inserter(list), "{}:", ours);  // those of 1.3 stay
  }
  if (SSL_CTX_set_cipher_list(context, list.empty() ? kSuites : list.c_str()) == 1) return {};
  return fail(ErrorCode::kConfigInvalid, "none of the cipher suites can be used: " + openssl_reason());
}

std::string stamp_of(const std::string& path) {
  struct stat about{};  // of what a symbolic link leads to
  if (::stat(path.c_str(), &about) != 0) return "absent";
  return fmt::format("{}.{}.{}.{}.{}", about.st_dev, about.st_ino, about.st_size, about.st_mtim.tv_sec,
                     about.st_mtim.tv_nsec);
}

Task<void> keep_watch(std::weak_ptr<TlsServer> weak, Duration interval) {
  while (true) {
    co_await sleep_for(interval);
    const auto server = weak.lock();
    if (!server) co_return;
    const auto read = server->reload_if_changed();
    if (!read) {
      log::error("the new certificate is not taken, the old one stays: {}", read.error().to_string());
    } else if (*read) {
      log::info("the certificate of {} was read anew", server->options().directory);
    }
  }
}

}  // namespace

TlsServer::TlsServer(TlsServerOptions options) : options_{std::move(options)} {}
TlsServer::~TlsServer() = default;

Result<std::shared_ptr<TlsServer>> TlsServer::make(TlsServerOptions options) {
  std::shared_ptr<TlsServer> server{new TlsServer{std::move(options)}};
  server->stamp_ = server->stamp();
  LLMD_TRY(server->context_, server->load());
  return server;
}

std::string TlsServer::stamp() const {
  if (options_.directory.empty()) return {};
  return stamp_of(options_.directory + "/tls.crt") + " " + stamp_of(options_.directory + "/tls.key");
}

Result<TlsServer::Context> TlsServer::load() const {
  if (options_.directory.empty()) {
    LLMD_TRY(const Certificate made, issue_certificate({.organization = std::string{kOrganization},
                                                        .names = {"localhost", "127.0.0.1", "::1"}}));
    return context_of(made);
  }
  Certificate found;
  LLMD_TRY(found.certificate, read_pem_file(options_.directory + "/tls.crt"));
  LLMD_TRY(found.key, read_pem_file(options_.directory + "/tls.key"));
  auto context = context_of(found);
  if (!context) context.error().what = fmt::format("{}: {}", options_.directory, context.error().what);
  return context;
}

Result<TlsServer::Context> TlsServer::context_of(const Certificate& certificate) const {
  Context context = make_tls_context(TLS_server_method());
  if (!context) return fail(ErrorCode::kInternal, "no TLS context: " + openssl_reason());
  LLMD_TRY(const int version, version_of(options_.min_version));
  SSL_CTX_set_min_proto_version(context.get(), version);
  LLMD_TRY_VOID(set_suites(context.get(), options_.cipher_suites));
  LLMD_TRY_VOID(use_certificate(context.get(), certificate.certificate, certificate.key));
  SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);
  if (options_.client_ca_file.empty()) return context;
  LLMD_TRY(const std::string roots, read_pem_file(options_.client_ca_file));
  LLMD_TRY_VOID(trust(context.get(), roots));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  constexpr std::string_view kSessions = "llmd";  // a ticket is of this server
  SSL_CTX_set_session_id_context(context.get(), reinterpret_cast<const unsigned char*>(kSessions.data()),
                                 kSessions.size());
  return context;
}

std::unique_ptr<TlsSession> TlsServer::session(TlsProtocol protocol) const {
  static const std::string_view http1 = alpn_of(TlsProtocol::kHttp1);
  static const std::string_view http2 = alpn_of(TlsProtocol::kHttp2);
  const Context context = [this] {
    const std::scoped_lock lock{mutex_};
    return context_;
  }();
  SSL* const ssl = SSL_new(context.get());
  if (ssl == nullptr) return nullptr;
  SSL_set_accept_state(ssl);
  SSL_set_app_data(ssl, const_cast<std::string_view*>(protocol == TlsProtocol::kHttp2 ? &http2 : &http1));
  return std::make_unique<TlsSession>(ssl);
}

Result<bool> TlsServer::reload_if_changed() {
  const std::scoped_lock reloading{reload_mutex_};
  std::string now = stamp();
  if (now == stamp_) return false;
  stamp_ = std::move(now);  // taken before the files are read: what changes meanwhile is read next time
  LLMD_TRY(Context context, load());
  const std::scoped_lock lock{mutex_};
  context_ = std::move(context);
  return true;
}

void TlsServer::watch(const std::shared_ptr<TlsServer>& server, Loop& loop, Duration interval) {
  loop.spawn(keep_watch(server, interval));
}

}  // namespace llmd::net
