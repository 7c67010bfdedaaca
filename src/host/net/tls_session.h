#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

struct ssl_st;

namespace llmd::net {

/// What both ends of a TLS connection agree to speak (ALPN).
enum class TlsProtocol : std::uint8_t { kHttp1, kHttp2 };

/// The TLS of one connection over a socket that does not block: OpenSSL reads and writes the socket itself, so that
/// what comes is decrypted into the reader's buffer. Made by TlsServer and TlsClient, driven by Stream. Not
/// thread-safe.
class TlsSession {
 public:
  enum class State : std::uint8_t {
    kDone,
    kWantsRead,   // again when the socket has something to read
    kWantsWrite,  // again when it takes something
    kEnded,       // the peer has said that it sends no more
    kBroken,      // failure() says why
  };
  struct Progress {
    State state = State::kDone;
    std::size_t bytes = 0;
  };

  /// Takes what SSL_new() has made and set up for its side.
  explicit TlsSession(ssl_st* ssl) noexcept;
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  /// Before all else. The socket stays its owner's, who calls detach() before it closes it.
  void attach(int fd);
  void detach() noexcept { fd_ = -1; }

  [[nodiscard]] State handshake() noexcept;
  /// As much as there is, up to `bytes_max`.
  [[nodiscard]] Progress read(char* to, std::size_t bytes_max) noexcept;
  /// Whether read() may have more, of which the socket will not tell.
  [[nodiscard]] bool has_more() const noexcept { return has_more_; }
  /// Writes the beginning of `pieces` as one record. After kWantsWrite the next call must begin with the same bytes.
  [[nodiscard]] Progress write(std::span<const iovec> pieces) noexcept;
  /// Tells the peer, if the socket takes it now, that nothing more comes.
  void end() noexcept;

  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

 private:
  [[nodiscard]] State outcome(int result) noexcept;

  ssl_st* ssl_;
  int fd_ = -1;
  std::size_t held_ = 0;  // bytes of the record that the socket has not taken yet
  bool established_ = false;
  bool has_more_ = false;
  std::string failure_;
};

}  // namespace llmd::net
