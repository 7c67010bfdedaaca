#include "discovery/dns_answer.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <fmt/format.h>
#include <resolv.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace llmd::discovery {
namespace {

std::string plain_name(std::string name) {
  if (name.ends_with('.')) name.pop_back();
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return name;
}

std::unexpected<Error> cut() {
  return fail(ErrorCode::kProtocol, "the DNS server's answer is cut or is no DNS message");
}

void add_address(const ns_rr& record, int family, std::size_t bytes, DnsAnswer& answer) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (ns_rr_rdlen(record) != bytes) return;
  if (inet_ntop(family, ns_rr_rdata(record), text.data(), text.size()) == nullptr) return;
  answer.addresses.push_back({.host = plain_name(ns_rr_name(record)), .ip = text.data()});
}

void add_service(const ns_msg& message, const ns_rr& record, DnsAnswer& answer) {
  constexpr std::size_t kHeadBytes = 6;  // priority, weight and port
  if (ns_rr_rdlen(record) <= kHeadBytes) return;
  const std::uint8_t* data = ns_rr_rdata(record);
  std::array<char, NS_MAXDNAME> name{};
  if (dn_expand(ns_msg_base(message), ns_msg_end(message), data + kHeadBytes, name.data(), name.size()) < 0) return;
  DnsService service{.host = plain_name(name.data()),
                     .port = static_cast<std::uint16_t>(ns_get16(data + 4)),
                     .priority = static_cast<std::uint16_t>(ns_get16(data))};
  if (service.host.empty() || service.port == 0) return;  // RFC 2782: "." says that there is no such service
  answer.services.push_back(std::move(service));
}

}  // namespace

Result<DnsAnswer> read_dns_answer(std::span<const std::uint8_t> bytes) {
  ns_msg message;
  if (bytes.size() > std::numeric_limits<std::uint16_t>::max() ||
      ns_initparse(bytes.data(), static_cast<int>(bytes.size()), &message) != 0) {
    return cut();
  }
  const int code = ns_msg_getflag(message, ns_f_rcode);
  if (code == ns_r_nxdomain) return fail(ErrorCode::kNotFound, "the DNS server knows no such name");
  if (code != ns_r_noerror)
    return fail(ErrorCode::kUpstreamFailed, fmt::format("the DNS server refuses with code {}", code));
  DnsAnswer answer;
  std::uint32_t ttl = std::numeric_limits<std::uint32_t>::max();
  for (const ns_sect section : {ns_s_an, ns_s_ar}) {
    for (int i = 0; i < ns_msg_count(message, section); ++i) {
      ns_rr record;
      if (ns_parserr(&message, section, i, &record) != 0) return cut();
      const std::size_t before = answer.addresses.size() + answer.services.size();
      if (before >= kDnsRecordsMax) break;
      if (ns_rr_class(record) != ns_c_in) continue;
      if (ns_rr_type(record) == ns_t_a) add_address(record, AF_INET, NS_INADDRSZ, answer);
      if (ns_rr_type(record) == ns_t_aaaa) add_address(record, AF_INET6, NS_IN6ADDRSZ, answer);
      if (ns_rr_type(record) == ns_t_srv) add_service(message, record, answer);
      if (answer.addresses.size() + answer.services.size() > before) ttl = std::min(ttl, ns_rr_ttl(record));
    }
  }
  if (!answer.addresses.empty() || !answer.services.empty()) answer.ttl = std::chrono::seconds{ttl};
  return answer;
}

}  // namespace llmd::discovery
