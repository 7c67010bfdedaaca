#include "routing/subset.h"

#include <algorithm>
#include <unordered_map>

namespace llmd::routing {
namespace {

std::string_view trimmed(std::string_view text) noexcept {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

/// Without the port, and an IPv6 address without brackets.
std::string_view address_of(std::string_view entry) noexcept {
  if (entry.starts_with('[')) return entry.substr(1, std::min(entry.size(), entry.find(']')) - 1);
  const std::size_t colon = entry.find(':');
  const bool has_port = colon != std::string_view::npos && entry.find(':', colon + 1) == std::string_view::npos;
  return has_port ? entry.substr(0, colon) : entry;
}

}  // namespace

std::string_view authority_of(const Endpoint& endpoint) noexcept {
  std::string_view url = endpoint.url;
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return url.starts_with("unix:") ? std::string_view{} : url;
  url.remove_prefix(scheme + 3);
  return url.substr(0, url.find('/'));
}

void mark_subset(const EndpointSnapshot& snapshot, const std::vector<std::string_view>& subset,
                 std::vector<std::uint8_t>& marks) {
  marks.assign(snapshot.endpoints.size(), 0);
  std::unordered_map<std::string_view, bool> wanted;  // whether it is some endpoint's address and port
  wanted.reserve(subset.size());
  for (const std::string_view list : subset) {
    // Some gateways join them with commas.
    for (std::string_view rest = list; !rest.empty();) {
      const std::size_t comma = std::min(rest.size(), rest.find(','));
      if (const std::string_view entry = trimmed(rest.substr(0, comma)); !entry.empty()) wanted.emplace(entry, false);
      rest.remove_prefix(std::min(rest.size(), comma + 1));
    }
  }
  for (std::size_t i = 0; i < snapshot.endpoints.size(); ++i) {
    const auto found = wanted.find(authority_of(*snapshot.endpoints[i].endpoint));
    if (found == wanted.end()) continue;
    found->second = true;
    marks[i] = 1;
  }
  std::unordered_map<std::string_view, bool> addresses;
  for (const auto& [entry, exact] : wanted) {
    if (!exact) addresses.emplace(address_of(entry), true);
  }
  if (addresses.empty()) return;
  for (std::size_t i = 0; i < snapshot.endpoints.size(); ++i) {
    if (addresses.contains(address_of(authority_of(*snapshot.endpoints[i].endpoint)))) marks[i] = 1;
  }
}

}  // namespace llmd::routing
