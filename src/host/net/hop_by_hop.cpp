#include "net/hop_by_hop.h"

#include <algorithm>
#include <array>

namespace llmd::net {

bool is_hop_by_hop(std::string_view name) noexcept {
  static constexpr std::array<std::string_view, 12> kNames{
      "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization",
      "te",         "trailer",    "upgrade",          "transfer-encoding",  "content-length",
      "host",       "expect"};
  return std::ranges::any_of(kNames, [name](std::string_view known) { return equals_ignoring_case(name, known); });
}

bool is_named_by(std::string_view connection, std::string_view name) noexcept {
  while (!connection.empty()) {
    std::string_view item = connection.substr(0, connection.find(','));
    connection.remove_prefix(std::min(connection.size(), item.size() + 1));
    while (item.starts_with(' ') || item.starts_with('\t')) item.remove_prefix(1);
    while (item.ends_with(' ') || item.ends_with('\t')) item.remove_suffix(1);
    if (equals_ignoring_case(item, name)) return true;
  }
  return false;
}

Headers end_to_end(const Headers& headers) {
  const std::string_view connection = headers.get("connection").value_or("");
  Headers kept;
  kept.reserve(headers.size() + 2);
  for (const auto& [name, value] : headers) {
    if (!is_hop_by_hop(name) && !is_named_by(connection, name)) kept.add(name, value);
  }
  return kept;
}

}  // namespace llmd::net
