#include "discovery/dns_endpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

namespace llmd::discovery {
namespace {

constexpr std::size_t kNameBytesMax = 253;  // RFC 1035
constexpr std::size_t kEndpointsMax = 4'096;
constexpr std::size_t kTargetsAskedMax = 256;  // hosts of SRV records that come without their addresses

struct Place {
  std::string ip;
  std::uint16_t port = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

/// The addresses of both families. An error only if neither is known.
Result<DnsAnswer> addresses_of(const std::string& host, const LookUp& look_up) {
  auto four = look_up(host, DnsType::kA);
  if (!four && four.error().code == ErrorCode::kUpstreamTimeout) return four;  // it would be so again
  auto six = look_up(host, DnsType::kAaaa);
  if (!four && !six) return std::unexpected(four.error());
  DnsAnswer both = four ? *std::move(four) : DnsAnswer{};
  if (!six || six->addresses.empty()) return both;
  both.ttl = both.addresses.empty() ? six->ttl : std::min(both.ttl, six->ttl);
  both.addresses.insert(both.addresses.end(), six->addresses.begin(), six->addresses.end());
  return both;
}

Result<std::set<Place>> places_of_services(DnsAnswer& answer, const LookUp& look_up) {
  std::set<Place> places;
  if (answer.services.empty()) return places;
  const auto lowest = std::ranges::min(answer.services, {}, &DnsService::priority).priority;
  std::size_t asked = 0;
  for (const DnsService& service : answer.services) {
    if (service.priority != lowest) continue;
    bool known = false;
    for (const DnsAddress& address : answer.addresses) {
      if (address.host != service.host) continue;
      places.insert({.ip = address.ip, .port = service.port});
      known = true;
    }
    if (known || ++asked > kTargetsAskedMax) continue;
    LLMD_TRY(const DnsAnswer found, addresses_of(service.host + ".", look_up));
    for (const DnsAddress& address : found.addresses) places.insert({.ip = address.ip, .port = service.port});
    if (!found.addresses.empty()) answer.ttl = std::min(answer.ttl, found.ttl);
  }
  return places;
}

}  // namespace

Result<DnsName> DnsName::parse(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(ErrorCode::kAddressInvalid, fmt::format("\"{}\" {}", text.substr(0, kNameBytesMax + 10), why),
                "write HOST:PORT, or _service._tcp.HOST for SRV records");
  };
  const std::size_t colon = text.find(':');
  DnsName name{.host = std::string{text.substr(0, colon)}};
  const bool fits =
      !name.host.empty() && name.host.size() <= kNameBytesMax && std::ranges::all_of(name.host, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
               c == '.';
      });
  if (!fits) return wrong("is no DNS name");
  const bool service = name.host.starts_with('_');
  if (colon == std::string_view::npos) return service ? Result<DnsName>{std::move(name)} : wrong("has no port");
  if (service) return wrong("has a port, which its SRV records tell");
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), name.port);
  if (error != std::errc{} || end != port.data() + port.size() || name.port == 0) return wrong("has no usable port");
  return name;
}

std::string DnsName::to_string() const { return port == 0 ? host : fmt::format("{}:{}", host, port); }

Result<DnsEndpoints> find_endpoints(const DnsName& name, const AddressPolicy& policy, const LookUp& look_up) {
  std::set<Place> places;
  DnsAnswer answer;
  if (name.port == 0) {
    LLMD_TRY(answer, look_up(name.host, DnsType::kSrv));
    LLMD_TRY(places, places_of_services(answer, look_up));
  } else {
    LLMD_TRY(answer, addresses_of(name.host, look_up));
    for (const DnsAddress& address : answer.addresses) places.insert({.ip = address.ip, .port = name.port});
  }
  DnsEndpoints found{.endpoints = {}, .refused = {}, .ttl = answer.ttl};
  for (const Place& place : places) {
    if (const auto checked = policy.check(place.ip); !checked) {
      found.refused.push_back(checked.error().to_string());
      continue;
    }
    if (found.endpoints.size() == kEndpointsMax) break;
    const std::string where = authority(place.ip, place.port);
    found.endpoints.push_back({.name = fmt::format("{}/{}", name.host, where), .url = "http://" + where, .labels = {}});
  }
  return found;
}

}  // namespace llmd::discovery
