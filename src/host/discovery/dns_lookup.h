#pragma once

#include <cstdint>
#include <string>

#include "discovery/dns_answer.h"

namespace llmd::discovery {

enum class DnsType : std::uint8_t { kA, kAaaa, kSrv };

struct DnsOptions {
  std::string server_ip{};  // IPv4; empty: those of /etc/resolv.conf, with its search list
  std::uint16_t server_port = 53;
};

/// Asks, and waits for the answer: some seconds at most, on a thread that may. Search list, retries and TCP for long
/// answers are the C library's (resolver(3)). A name that exists without such records is an empty answer. Errors: those
/// of read_dns_answer(), kUpstreamTimeout (no server answers), kIo.
[[nodiscard]] Result<DnsAnswer> look_up(const std::string& name, DnsType type, const DnsOptions& options);

}  // namespace llmd::discovery
