// links: llmd_pool llmd_net
// Endpoints from a file and from a command line, over any bytes: no crash; every endpoint has a name of its own and an
// address that can be used, and every error is of its kind and names the file.
#include "pool/endpoint_list.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"

namespace {

void check(const std::vector<llmd::Endpoint>& endpoints) {
  if (endpoints.size() > llmd::pool::kEndpointsMax) std::abort();
  for (const llmd::Endpoint& endpoint : endpoints) {
    if (endpoint.name.empty() || !llmd::net::Address::parse_url(endpoint.url)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  if (const auto endpoints = llmd::pool::parse_endpoint_file(text, "fuzz.yaml")) {
    check(*endpoints);
    std::set<std::string> names;
    for (const llmd::Endpoint& endpoint : *endpoints) {
      if (!names.insert(endpoint.name).second) std::abort();
    }
  } else if (endpoints.error().code != llmd::ErrorCode::kConfigInvalid ||
             !endpoints.error().what.starts_with("fuzz.yaml:")) {
    std::abort();
  }
  if (const auto endpoints = llmd::pool::parse_endpoint_urls(text)) {
    if (endpoints->empty()) std::abort();
    check(*endpoints);
  } else if (endpoints.error().code != llmd::ErrorCode::kAddressInvalid) {
    std::abort();
  }
  return 0;
}
