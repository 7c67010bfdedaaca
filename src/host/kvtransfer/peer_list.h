#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "net/address.h"

namespace llmd::kvtransfer {

/// From whom this worker may pull. Whoever can make it pull could otherwise let it connect anywhere, and feed it KV.
/// An entry is one of
///   HOST, HOST:PORT        a name or IP address as requests spell it; without a port, any port
///   10.0.0.0/8, fd00::/8   every address of the network
///   unix:/path/of.sock     one socket
///   unix:/folder/          every socket below the folder
/// Immutable, thread-safe.
class PeerList {
 public:
  /// Error kConfigInvalid.
  [[nodiscard]] static Result<PeerList> parse(std::span<const std::string> entries);
  /// Error kPeerNotAllowed. O(entries).
  [[nodiscard]] Result<void> check(const net::Address& peer) const;

 private:
  struct Network {
    std::vector<std::uint8_t> bytes;  // of the address: 4 or 16
    unsigned bits = 0;
  };
  struct Entry {
    std::string host;  // empty: see the others
    std::uint16_t port = 0;
    Network network;
    std::string unix_path;
  };
  [[nodiscard]] static Result<Entry> parse_entry(const std::string& text);
  [[nodiscard]] static bool fits(const Entry& entry, const net::Address& peer);
  std::vector<Entry> entries_;
};

}  // namespace llmd::kvtransfer
