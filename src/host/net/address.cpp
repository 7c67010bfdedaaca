#include "net/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace llmd::net {
namespace {

constexpr std::size_t kUnixPathMax = 107;  // sun_path without its end
constexpr std::size_t kHostMax = 253;
constexpr std::size_t kShown = 200;

std::unexpected<Error> invalid(std::string_view text, std::string_view reason) {
  return fail(ErrorCode::kAddressInvalid, fmt::format("address \"{}\": {}", text.substr(0, kShown), reason),
              "write HOST:PORT, [IPV6]:PORT, http://HOST:PORT or unix:/path");
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kHostMax && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
  });
}

/// "::1", "fe80::1%eth0" (RFC 4007 §11): what stands in brackets.
bool is_ipv6(std::string_view text) {
  const std::size_t zone = text.find('%');
  if (zone != std::string_view::npos && !is_name(text.substr(zone + 1))) return false;
  if (text.find('\0') != std::string_view::npos) return false;
  in6_addr parsed{};
  return ::inet_pton(AF_INET6, std::string{text.substr(0, zone)}.c_str(), &parsed) == 1;
}

constexpr std::string_view kHttps = "https://";

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  if (text.starts_with(kHttps)) {
    return fail(ErrorCode::kAddressInvalid,
                fmt::format("address \"{}\": TLS is not spoken here", text.substr(0, kShown)),
                "write http://HOST:PORT, of the server itself or of a proxy in front of it that speaks TLS");
  }
  return parse_url(text);
}

Result<Address> Address::parse_url(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  constexpr std::string_view kHttp = "http://";
  constexpr std::uint16_t kHttpPort = 80;
  constexpr std::uint16_t kHttpsPort = 443;
  Address address;
  std::string_view rest = text;
  if (rest.starts_with(kUnix)) {
    rest.remove_prefix(kUnix.size());
    if (rest.empty()) return invalid(text, "the path is missing");
    if (rest.size() > kUnixPathMax) return invalid(text, "the path of a unix socket is at most 107 bytes long");
    if (rest.find('\0') != std::string_view::npos) return invalid(text, "the path holds a zero byte");
    address.unix_path = rest;
    return address;
  }
  address.tls = rest.starts_with(kHttps);
  const bool is_url = address.tls || rest.starts_with(kHttp);
  if (is_url) {
    rest.remove_prefix(address.tls ? kHttps.size() : kHttp.size());
    if (rest.ends_with('/')) rest.remove_suffix(1);
  }
  const bool bracketed = rest.starts_with('[');
  const std::size_t host_end = bracketed ? rest.find(']') : rest.find(':');
  if (bracketed && host_end == std::string_view::npos) return invalid(text, "']' is missing");
  const std::string_view host = bracketed ? rest.substr(1, host_end - 1) : rest.substr(0, host_end);
  if (bracketed ? !is_ipv6(host) : !is_name(host)) {
    return invalid(text, "the host is missing or not a name or IP address");
  }
  std::string_view port = host_end == std::string_view::npos ? std::string_view{} : rest.substr(host_end);
  if (bracketed) port.remove_prefix(1);
  address.host = host;
  if (port.empty() && is_url) {
    address.port = address.tls ? kHttpsPort : kHttpPort;
    return address;
  }
  if (!port.starts_with(':')) return invalid(text, "the port is missing");
  port.remove_prefix(1);
  const auto [end, status] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (port.empty() || status != std::errc{} || end != port.data() + port.size()) {
    return invalid(text, "the port is not a number from 0 to 65535");
  }
  return address;
}

std::string Address::to_string() const {
  if (is_unix()) return "unix:" + unix_path;
  const std::string_view scheme = tls ? kHttps : host == "unix" ? "http://" : "";  // else it would read as a path
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return is_ipv6 ? fmt::format("{}[{}]:{}", scheme, host, port) : fmt::format("{}{}:{}", scheme, host, port);
}

bool Address::is_loopback() const noexcept {
  return is_unix() || host == "localhost" || host == "::1" || host.starts_with("127.");
}

}  // namespace llmd::net
