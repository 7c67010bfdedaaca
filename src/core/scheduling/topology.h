#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// How near two endpoints are, nearest first.
enum class TopologyLevel : std::uint8_t { kHost, kRack, kZone, kRegion, kNone };

/// The names of the levels in a configuration, without kNone.
inline constexpr std::array<std::string_view, 4> kTopologyLevels{"host", "rack", "zone", "region"};

/// No value: no level has this name.
[[nodiscard]] std::optional<TopologyLevel> parse_topology_level(std::string_view name) noexcept;

/// "none" for kNone.
[[nodiscard]] std::string_view topology_level_name(TopologyLevel level) noexcept;

/// Where an endpoint runs, as its labels say.
class TopologyLabels {
 public:
  /// The labels that `producer`, a topology-extractor, reads; the first one of the configuration if it is empty. What
  /// nobody names has Kubernetes' names: kubernetes.io/hostname and topology.kubernetes.io/rack, /zone, /region.
  [[nodiscard]] static TopologyLabels of(const ParameterReader& parameters, std::string_view producer);

  /// ids[level] identifies the host, rack, zone or region; 0: not labelled.
  [[nodiscard]] FixedValue place(const Endpoint& endpoint) const;

 private:
  std::array<std::string, 4> names_;
};

/// The nearest level at which both places are known and the same. Values of place().
[[nodiscard]] TopologyLevel compare_places(const FixedValue& a, const FixedValue& b) noexcept;

/// Whether there is a peer to be near to, and a label says where it runs.
[[nodiscard]] bool has_peer_place(const PluginInput& input) noexcept;

/// The parameter that names the topology-extractor.
inline constexpr ParameterSpec kTopologyProducerName{
    .name = "topologyProducerName",
    .type = ParameterType::kText,
    .help = "the topology-extractor whose label names count; empty: the first one, or Kubernetes' names",
    .refers = PluginKind::kExtractor};

}  // namespace llmd::scheduling
