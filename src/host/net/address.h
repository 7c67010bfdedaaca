#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace llmd::net {

/// Where to listen or connect: "host:port", "[::1]:port", "http://host:port", "https://host:port" or "unix:/path".
/// Port 0 picks one.
struct Address {
  std::string host;  // empty for unix
  std::uint16_t port = 0;
  std::string unix_path;  // empty for TCP
  bool tls = false;       // for clients: the server speaks it
  /// Error kAddressInvalid, also of https.
  [[nodiscard]] static Result<Address> parse(std::string_view text);
  /// The same, and takes https.
  [[nodiscard]] static Result<Address> parse_url(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] bool is_unix() const noexcept { return !unix_path.empty(); }
  [[nodiscard]] bool is_loopback() const noexcept;  // unix sockets count
  friend auto operator<=>(const Address&, const Address&) = default;
};

}  // namespace llmd::net
