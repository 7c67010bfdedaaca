#include "net/tls_session.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace llmd::net {
namespace {

constexpr std::size_t kRecordBytesMax = 16 * 1024;  // RFC 8446, section 5.1

// OpenSSL's own socket BIO would raise SIGPIPE.
int take(BIO* bio, char* to, int size) {
  BIO_clear_retry_flags(bio);
  const int fd = *static_cast<const int*>(BIO_get_data(bio));
  const ssize_t got = ::recv(fd, to, static_cast<std::size_t>(size), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(got);
}

int give(BIO* bio, const char* from, int size) {
  BIO_clear_retry_flags(bio);
  const int fd = *static_cast<const int*>(BIO_get_data(bio));
  const ssize_t sent = ::send(fd, from, static_cast<std::size_t>(size), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

long control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* socket_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    BIO_meth_set_read(made, take);
    BIO_meth_set_write(made, give);
    BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return method;
}

std::string reason_of_failure(ssl_st* ssl) {
  const long verdict = SSL_get_verify_result(ssl);
  if (verdict != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
    return X509_verify_cert_error_string(verdict);
  const unsigned long code = ERR_peek_last_error();
  if (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER || ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST)
    return "the other end does not speak TLS";
  const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "the connection was cut" : reason;
}

}  // namespace

TlsSession::TlsSession(ssl_st* ssl) noexcept : ssl_{ssl} {}
TlsSession::~TlsSession() { SSL_free(ssl_); }

void TlsSession::attach(int fd) {
  fd_ = fd;
  BIO* const bio = BIO_new(socket_method());
  BIO_set_data(bio, &fd_);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
}

TlsSession::State TlsSession::outcome(int result) noexcept {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_NONE: return State::kDone;
    case SSL_ERROR_WANT_READ: return State::kWantsRead;
    case SSL_ERROR_WANT_WRITE: return State::kWantsWrite;
    case SSL_ERROR_ZERO_RETURN: return State::kEnded;
    default: break;
  }
  if (failure_.empty()) failure_ = reason_of_failure(ssl_);
  established_ = false;
  return State::kBroken;
}

TlsSession::State TlsSession::handshake() noexcept {
  ERR_clear_error();
  const State state = outcome(SSL_do_handshake(ssl_));
  established_ = has_more_ = state == State::kDone;  // the peer's first bytes may have come with its last message
  return state;
}

TlsSession::Progress TlsSession::read(char* to, std::size_t bytes_max) noexcept {
  Progress progress;
  while (progress.bytes < bytes_max) {
    std::size_t got = 0;
    ERR_clear_error();
    progress.state = outcome(SSL_read_ex(ssl_, to + progress.bytes, bytes_max - progress.bytes, &got));
    if (progress.state != State::kDone) break;
    progress.bytes += got;
  }
  has_more_ = progress.state != State::kWantsRead;
  return progress;
}

TlsSession::Progress TlsSession::write(std::span<const iovec> pieces) noexcept {
  thread_local std::array<char, kRecordBytesMax> gathered;
  const std::size_t limit = held_ > 0 ? held_ : kRecordBytesMax;
  const char* from = gathered.data();
  std::size_t size = 0;
  if (!pieces.empty() && (pieces.size() == 1 || pieces.front().iov_len >= limit)) {
    from = static_cast<const char*>(pieces.front().iov_base);
    size = std::min(pieces.front().iov_len, limit);
  } else {
    for (const iovec& piece : pieces) {
      const std::size_t now = std::min(piece.iov_len, limit - size);
      if (now > 0) std::memcpy(gathered.data() + size, piece.iov_base, now);
      size += now;
    }
  }
  if (size == 0) return {};
  Progress progress;
  ERR_clear_error();
  progress.state = outcome(SSL_write_ex(ssl_, from, size, &progress.bytes));
  held_ = progress.state == State::kWantsWrite ? size : 0;
  // Without renegotiation a write never waits for the peer.
  if (progress.state == State::kWantsRead || progress.state == State::kEnded) progress.state = State::kBroken;
  return progress;
}

void TlsSession::end() noexcept {
  if (!established_ || held_ > 0) return;
  established_ = false;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

}  // namespace llmd::net
