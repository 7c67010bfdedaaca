#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "simulation/policy.h"

namespace llmd::simulation {

/// Which place each endpoint object has in the snapshots of late. Follows a row of snapshots: one look at the version
/// while it stays, a comparison of pointers when it moves, and new tables only if the endpoints are others.
class EndpointPlaces {
 public:
  /// True if the endpoints are not those of the call before. True for the first.
  bool update(const EndpointSnapshot& snapshot);

  /// kNoEndpoint if the object is not in the snapshot, or null.
  [[nodiscard]] std::uint32_t find(const Endpoint* endpoint) const noexcept;
  /// The name of the endpoint in this place; empty if there is none.
  [[nodiscard]] std::string_view name(std::uint32_t place) const noexcept;

 private:
  std::optional<std::uint64_t> version_{};
  std::vector<std::shared_ptr<const Endpoint>> endpoints_;  // held, so that no new object gets a known address
  std::unordered_map<const Endpoint*, std::uint32_t> places_;
};

}  // namespace llmd::simulation
