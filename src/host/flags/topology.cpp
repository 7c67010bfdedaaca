#include "flags/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace llmd::flags {
namespace {

std::unexpected<Error> bad_topology(std::string_view text, std::string_view why) {
  return fail(ErrorCode::kInvalidRequest, fmt::format("--topology is \"{}\": {}", text.substr(0, 100), why),
              "write unified:1 or prefill:1,decode:1");
}

std::optional<EndpointRole> role_of(std::string_view name) {
  for (const EndpointRole role : {EndpointRole::kUnified, EndpointRole::kPrefill, EndpointRole::kDecode}) {
    if (role_name(role) == name) return role;
  }
  return std::nullopt;
}

}  // namespace

std::uint32_t Topology::workers() const noexcept {
  std::uint32_t total = 0;
  for (const Group& group : groups) total += group.count;
  return total;
}

bool Topology::disaggregated() const noexcept {
  return std::any_of(groups.begin(), groups.end(),
                     [](const Group& group) { return group.role == EndpointRole::kPrefill; });
}

Result<Topology> parse_topology(std::string_view text) {
  Topology topology;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    const std::size_t colon = item.find(':');
    const auto role = role_of(item.substr(0, colon));
    if (!role) return bad_topology(text, "roles are unified, prefill and decode");
    Topology::Group group{.role = *role, .count = 1};
    if (colon != std::string_view::npos) {
      const char* end = item.data() + item.size();
      const auto [at, status] = std::from_chars(item.data() + colon + 1, end, group.count);
      if (status != std::errc{} || at != end || group.count < 1 || group.count > kWorkersMax) {
        return bad_topology(text, fmt::format("a count is a number from 1 to {}", kWorkersMax));
      }
    }
    topology.groups.push_back(group);
  }
  if (topology.groups.empty()) return bad_topology(text, "there must be a worker");
  if (topology.workers() > kWorkersMax) return bad_topology(text, fmt::format("at most {} workers", kWorkersMax));
  const bool decodes = std::any_of(topology.groups.begin(), topology.groups.end(),
                                   [](const auto& group) { return group.role != EndpointRole::kPrefill; });
  if (!decodes) return bad_topology(text, "prefill workers alone answer nothing");
  return topology;
}

unsigned threads_per_worker(unsigned cores, std::uint32_t workers) noexcept {
  return std::max(1U, cores / std::max(1U, workers));
}

}  // namespace llmd::flags
