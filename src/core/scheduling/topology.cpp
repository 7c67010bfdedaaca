#include "scheduling/topology.h"

#include <algorithm>
#include <variant>

#include "base/hash.h"

namespace llmd::scheduling {
namespace {

constexpr std::string_view kExtractorType = "topology-extractor";
// What the extractor's parameters are called, and the labels that it reads without them.
struct LevelLabel {
  std::string_view parameter;
  std::string_view label;
};
constexpr std::array<LevelLabel, 4> kLabels{{{"hostname", "kubernetes.io/hostname"},
                                             {"rack", "topology.kubernetes.io/rack"},
                                             {"zone", "topology.kubernetes.io/zone"},
                                             {"region", "topology.kubernetes.io/region"}}};

}  // namespace

std::optional<TopologyLevel> parse_topology_level(std::string_view name) noexcept {
  const auto* const found = std::ranges::find(kTopologyLevels, name);
  if (found == kTopologyLevels.end()) return std::nullopt;
  return static_cast<TopologyLevel>(found - kTopologyLevels.begin());
}

std::string_view topology_level_name(TopologyLevel level) noexcept {
  return level == TopologyLevel::kNone ? "none" : kTopologyLevels[static_cast<std::size_t>(level)];
}

TopologyLabels TopologyLabels::of(const ParameterReader& parameters, std::string_view producer) {
  const PluginInstance* extractor = producer.empty() ? parameters.first_of(kExtractorType) : parameters.other(producer);
  TopologyLabels labels;
  for (std::size_t i = 0; i < kLabels.size(); ++i) {
    // The extractor's own parameters may not be checked yet.
    const ParameterValue* value = extractor == nullptr ? nullptr : extractor->parameters.find(kLabels[i].parameter);
    const auto* const name = value == nullptr ? nullptr : std::get_if<std::string>(value);
    labels.names_[i] = name == nullptr || name->empty() ? std::string{kLabels[i].label} : *name;
  }
  return labels;
}

FixedValue TopologyLabels::place(const Endpoint& endpoint) const {
  FixedValue place;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const auto label = endpoint.labels.find(names_[i]);
    // The lowest bit is set, so that no name's hash means "not labelled".
    if (label != endpoint.labels.end() && !label->second.empty()) place.ids[i] = xxh64(label->second) | 1U;
  }
  return place;
}

TopologyLevel compare_places(const FixedValue& a, const FixedValue& b) noexcept {
  for (std::size_t i = 0; i < kLabels.size(); ++i) {
    if (a.ids[i] != 0 && a.ids[i] == b.ids[i]) return static_cast<TopologyLevel>(i);
  }
  return TopologyLevel::kNone;
}

bool has_peer_place(const PluginInput& input) noexcept {
  if (input.peer == kNoEndpointIndex) return false;
  const auto& ids = input.fixed[input.peer].ids;
  return std::ranges::any_of(ids, [](std::uint64_t id) { return id != 0; });
}

}  // namespace llmd::scheduling
