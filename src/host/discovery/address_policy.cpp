#include "discovery/address_policy.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>

namespace llmd::discovery {
namespace {

enum class Kind : std::uint8_t { kUnicast, kUnspecified, kLoopback, kLinkLocal, kMulticast, kBroadcast };

constexpr std::size_t kTextBytesMax = 45;  // INET6_ADDRSTRLEN without its end

bool starts_with(std::span<const std::uint8_t> ip, std::initializer_list<std::uint8_t> prefix) {
  return std::equal(prefix.begin(), prefix.end(), ip.begin());
}

Kind kind_of_v4(std::span<const std::uint8_t> ip) {
  if (ip[0] == 0) return Kind::kUnspecified;  // 0.0.0.0/8, "this network" (RFC 1122)
  if (ip[0] == 127) return Kind::kLoopback;
  if (ip[0] == 169 && ip[1] == 254) return Kind::kLinkLocal;
  // The metadata services of Azure's and Alibaba's machines, which are at addresses of the public or shared space.
  if (starts_with(ip, {168, 63, 129, 16}) || starts_with(ip, {100, 100, 100, 200})) return Kind::kLinkLocal;
  if ((ip[0] & 0xf0U) == 0xe0U) return Kind::kMulticast;
  if (std::ranges::all_of(ip, [](std::uint8_t byte) { return byte == 0xffU; })) return Kind::kBroadcast;
  return Kind::kUnicast;
}

Kind kind_of_v6(std::span<const std::uint8_t> ip) {
  const auto zero_until = [&](std::size_t end) {
    return std::ranges::all_of(ip.first(end), [](std::uint8_t byte) { return byte == 0; });
  };
  if (zero_until(16)) return Kind::kUnspecified;
  if (zero_until(15) && ip[15] == 1) return Kind::kLoopback;
  if (zero_until(12) || (zero_until(10) && ip[10] == 0xff && ip[11] == 0xff)) return kind_of_v4(ip.subspan(12));
  if (starts_with(ip, {0, 0x64, 0xff, 0x9b})) return kind_of_v4(ip.subspan(12));  // NAT64 (RFC 6052)
  if (starts_with(ip, {0x20, 0x02})) return kind_of_v4(ip.subspan(2, 4));         // 6to4 (RFC 3056)
  if (ip[0] == 0xfe && (ip[1] & 0xc0U) == 0x80U) return Kind::kLinkLocal;         // fe80::/10
  if (ip[0] == 0xff) return Kind::kMulticast;
  if (starts_with(ip, {0xfd, 0x00, 0x0e, 0xc2})) return Kind::kLinkLocal;  // EC2's services, by AWS's word
  return Kind::kUnicast;
}

std::optional<Kind> kind_of(std::string_view text) {
  if (text.size() > kTextBytesMax) return std::nullopt;
  const std::string ip{text};
  std::array<std::uint8_t, 16> bytes{};
  if (inet_pton(AF_INET, ip.c_str(), bytes.data()) == 1) return kind_of_v4(std::span{bytes}.first(4));
  if (inet_pton(AF_INET6, ip.c_str(), bytes.data()) == 1) return kind_of_v6(bytes);
  return std::nullopt;
}

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::kUnicast: return "unicast";
    case Kind::kUnspecified: return "unspecified";
    case Kind::kLoopback: return "loopback";
    case Kind::kLinkLocal: return "link-local";
    case Kind::kMulticast: return "multicast";
    case Kind::kBroadcast: return "broadcast";
  }
  return "unknown";
}

}  // namespace

Result<void> AddressPolicy::check(std::string_view ip) const {
  const auto kind = kind_of(ip);
  if (!kind)
    return fail(ErrorCode::kAddressInvalid, fmt::format("\"{}\" is no IP address", ip.substr(0, kTextBytesMax)));
  if (*kind == Kind::kUnicast) return {};
  const bool local = *kind == Kind::kLoopback || *kind == Kind::kLinkLocal;
  if (local && allows_local) return {};
  return fail(ErrorCode::kAddressInvalid, fmt::format("{} is a {} address", ip, name_of(*kind)),
              local ? "--allow-local-endpoints lets such addresses be endpoints" : "");
}

std::string authority(std::string_view ip, std::uint16_t port) {
  const bool six = ip.find(':') != std::string_view::npos;
  return six ? fmt::format("[{}]:{}", ip, port) : fmt::format("{}:{}", ip, port);
}

}  // namespace llmd::discovery
