#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"

namespace llmd::discovery {

inline constexpr std::size_t kDnsRecordsMax = 16'384;  // of one answer

/// A host's address.
struct DnsAddress {
  std::string host;  // whose it is, in lower case, without the dot at the end
  std::string ip;
};

/// One server of a service (RFC 2782). Of several, those of the lowest priority serve.
struct DnsService {
  std::string host;
  std::uint16_t port = 0;
  std::uint16_t priority = 0;
};

/// What of an answer counts, from its answer and additional sections.
struct DnsAnswer {
  std::vector<DnsAddress> addresses;  // A and AAAA, also behind a CNAME
  std::vector<DnsService> services;   // SRV
  std::chrono::seconds ttl{0};        // the shortest; 0: nothing in it
};

/// Reads one message (RFC 1035). Errors: kProtocol (no message, or cut), kNotFound (NXDOMAIN), kUpstreamFailed (another
/// refusal of the server, named).
[[nodiscard]] Result<DnsAnswer> read_dns_answer(std::span<const std::uint8_t> message);

}  // namespace llmd::discovery
