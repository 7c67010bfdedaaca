// links: llmd_discovery
// A DNS server's answer over any bytes: no crash; addresses are addresses, services have a host and a port, and every
// error says what is wrong.
#include "discovery/dns_answer.h"

#include <arpa/inet.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto answer = llmd::discovery::read_dns_answer(std::span{data, size});
  if (!answer) {
    if (answer.error().what.empty()) std::abort();
    return 0;
  }
  for (const auto& address : answer->addresses) {
    std::uint8_t bytes[16];
    if (inet_pton(AF_INET, address.ip.c_str(), bytes) != 1 && inet_pton(AF_INET6, address.ip.c_str(), bytes) != 1)
      std::abort();
  }
  for (const auto& service : answer->services) {
    if (service.host.empty() || service.port == 0) std::abort();
  }
  return 0;
}
