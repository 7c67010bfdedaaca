#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "discovery/address_policy.h"
#include "discovery/dns_lookup.h"
#include "model/endpoint.h"

namespace llmd::discovery {

/// What is looked up: "HOST:PORT" for the host's addresses (A and AAAA), or "_service._proto.HOST" for the servers that
/// SRV records name.
struct DnsName {
  std::string host;
  std::uint16_t port = 0;  // 0: of the SRV records

  /// Error kAddressInvalid.
  [[nodiscard]] static Result<DnsName> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
};

/// One look: the endpoints that a name stands for now.
struct DnsEndpoints {
  std::vector<Endpoint> endpoints;   // sorted by name: "HOST/IP:PORT"; each once
  std::vector<std::string> refused;  // what the policy kept out, with the reason
  std::chrono::seconds ttl{0};
};

using LookUp = std::function<Result<DnsAnswer>(const std::string& name, DnsType type)>;

/// Asks `look_up` for all that is needed. Of SRV records those of the lowest priority count; weights do not, as the
/// scheduler decides. A host whose addresses only one family has is well. Errors: those of look_up().
[[nodiscard]] Result<DnsEndpoints> find_endpoints(const DnsName& name, const AddressPolicy& policy,
                                                  const LookUp& look_up);

}  // namespace llmd::discovery
