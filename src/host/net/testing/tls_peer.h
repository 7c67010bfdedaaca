#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "net/testing/raw_peer.h"
#include "net/tls_client.h"

namespace llmd::testkit {

/// The client's end of a TLS connection, driven step by step as RawConnection is.
class TlsPeer {
 public:
  TlsPeer(RawConnection connection, const net::TlsClient& client, net::TlsProtocol protocol,
          const std::string& host = "127.0.0.1")
      : connection_{std::move(connection)}, session_{client.session(protocol, host)} {
    session_->attach(connection_.fd());
  }

  /// False: failure() says why.
  bool handshake() {
    while (true) {
      const auto state = session_->handshake();
      if (state == net::TlsSession::State::kDone) return true;
      if (!wait(state)) return false;
    }
  }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const iovec piece{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
      const auto [state, sent] = session_->write({&piece, 1});
      bytes.remove_prefix(sent);
      if (state != net::TlsSession::State::kDone && !wait(state)) return false;
    }
    return true;
  }
  /// What comes next, at most 16 KiB; empty at the end.
  std::string receive() {
    std::array<char, 16 * 1024> bytes;
    while (true) {
      const auto [state, got] = session_->read(bytes.data(), bytes.size());
      if (got > 0) return {bytes.data(), got};
      if (!wait(state)) return {};
    }
  }
  [[nodiscard]] const std::string& failure() const { return session_->failure(); }
  [[nodiscard]] RawConnection& connection() noexcept { return connection_; }

 private:
  bool wait(net::TlsSession::State state) const {
    if (state != net::TlsSession::State::kWantsRead && state != net::TlsSession::State::kWantsWrite) return false;
    const bool reads = state == net::TlsSession::State::kWantsRead;
    pollfd ready{.fd = connection_.fd(), .events = static_cast<short>(reads ? POLLIN : POLLOUT), .revents = 0};
    return ::poll(&ready, 1, 10'000) == 1;
  }

  RawConnection connection_;
  std::unique_ptr<net::TlsSession> session_;
};

}  // namespace llmd::testkit
