#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace llmd::discovery {

/// Which addresses may become endpoints. Who may write a pod's status or a DNS record must not be able to point
/// requests at what only this machine reaches: its own loopback, the cloud's metadata service (link-local), multicast
/// groups. Addresses that an operator's file names are not judged.
struct AddressPolicy {
  bool allows_local = false;  // --allow-local-endpoints: all of them may, but unspecified and multicast

  /// `ip`: a literal IPv4 or IPv6 address, without brackets, zone or port. IPv4 inside IPv6 (mapped, NAT64, 6to4) is
  /// judged as what it stands for. Error kAddressInvalid, which says what it is.
  [[nodiscard]] Result<void> check(std::string_view ip) const;
};

/// As it stands in a URL: "1.2.3.4:80", "[::1]:80". Pre: `ip` passes a policy.
[[nodiscard]] std::string authority(std::string_view ip, std::uint16_t port);

}  // namespace llmd::discovery
