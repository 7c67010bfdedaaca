#pragma once

#include <sys/types.h>

#include <string>

#include "base/error.h"
#include "net/address.h"

namespace llmd::net {

/// A listening socket, not blocking. Closes itself, and removes the file of a unix socket if it is still its own.
class Listener {
 public:
  /// Without a host: on every address, of IPv6 too where the machine has it ("::" takes both), else "0.0.0.0".
  /// Binds and listens; blocks for the look-up of a host name. A unix socket's file that nobody listens on is replaced.
  /// Errors: kAddressInUse, kAddressInvalid, kIo.
  [[nodiscard]] static Result<Listener> open(const Address& address, unsigned unix_mode);
  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&& other) noexcept;
  ~Listener();

  [[nodiscard]] int fd() const noexcept { return fd_; }
  /// With the port that was picked.
  [[nodiscard]] const Address& address() const noexcept { return address_; }

 private:
  Listener(int fd, Address address) : fd_{fd}, address_{std::move(address)} {}
  int fd_;
  Address address_;
  ino_t inode_ = 0;  // of the unix socket's file
};

/// "127.0.0.1:4711" (also of a client by IPv4 at a socket of IPv6), "[::1]:4711" or "unix:uid=1000" for the other end
/// of a connected socket.
[[nodiscard]] std::string peer_name(int fd);

}  // namespace llmd::net
