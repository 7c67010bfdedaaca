#include "apps/sidecar/moriio_hosts.h"

#include <arpa/inet.h>

#include <algorithm>

#include "net/resolve.h"
#include "telemetry/log.h"

namespace llmd::sidecar {
namespace {

bool is_address(const std::string& host) {
  in6_addr parsed{};
  return ::inet_pton(AF_INET, host.c_str(), &parsed) == 1 || ::inet_pton(AF_INET6, host.c_str(), &parsed) == 1;
}

std::string text_of(const net::Endpoint& endpoint) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const auto* const generic = static_cast<const sockaddr*>(endpoint.data());
  if (generic->sa_family == AF_INET) {
    const auto* const v4 = static_cast<const sockaddr_in*>(static_cast<const void*>(generic));
    ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
  } else if (generic->sa_family == AF_INET6) {
    const auto* const v6 = static_cast<const sockaddr_in6*>(static_cast<const void*>(generic));
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
  }
  return text.data();
}

/// IPv4 goes first, as in llm-d's sidecar: both sides must choose alike.
std::string preferred(const std::vector<net::Endpoint>& endpoints) {
  const auto v4 = std::ranges::find_if(
      endpoints, [](const net::Endpoint& endpoint) { return endpoint.protocol().family() == AF_INET; });
  if (v4 != endpoints.end()) return text_of(*v4);
  return endpoints.empty() ? std::string{} : text_of(endpoints.front());
}

}  // namespace

MoriioHosts::MoriioHosts(pd::MoriioOptions names, SidecarMetrics& metrics)
    : names_{std::move(names)}, metrics_{metrics} {
  const auto note = [this](const std::string& host) {
    if (!host.empty() && !is_address(host)) addresses_.emplace(host, std::string{});
  };
  note(names_.decode_host);
  std::ranges::for_each(names_.decode_hosts, note);
  std::ranges::for_each(names_.prefill_hosts, note);
  publish();
}

std::string MoriioHosts::address_of(const std::string& host) const {
  const auto found = addresses_.find(host);
  return found == addresses_.end() || found->second.empty() ? host : found->second;
}

std::vector<std::string> MoriioHosts::addresses_of(const std::vector<std::string>& hosts) const {
  std::vector<std::string> addresses;
  addresses.reserve(hosts.size());
  for (const std::string& host : hosts) addresses.push_back(address_of(host));
  return addresses;
}

void MoriioHosts::publish() {
  auto options = std::make_shared<pd::MoriioOptions>(names_);
  options->decode_host = address_of(names_.decode_host);
  options->decode_hosts = addresses_of(names_.decode_hosts);
  options->prefill_hosts = addresses_of(names_.prefill_hosts);
  current_.store(std::move(options));
}

Task<void> MoriioHosts::look_up(Loop& loop, std::string name) {
  const auto found = net::Resolution::start(loop, {.host = name, .port = 1, .unix_path = {}});
  const bool done = co_await found->done.wait_until(SteadyClock::now() + kLookupMax);
  const std::string address = done ? preferred(found->endpoints) : std::string{};
  if (address.empty()) {
    metrics_.names_failed.add();
    log::warn("{} is not found; its last address stays", name);
    co_return;
  }
  metrics_.names_resolved.add();
  std::string& known = addresses_[name];
  if (!known.empty() && known != address) metrics_.names_changed.add();
  known = address;
}

Task<void> MoriioHosts::keep_resolved(Loop& loop) {
  std::vector<std::string> names;
  for (const auto& [name, address] : addresses_) names.push_back(name);
  while (!names.empty()) {
    for (const std::string& name : names) co_await look_up(loop, name);
    publish();
    co_await sleep_for(kInterval);
  }
}

}  // namespace llmd::sidecar
