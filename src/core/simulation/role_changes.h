#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "model/endpoint.h"
#include "pd/role_balancer.h"

namespace llmd::simulation {

/// The real pd::RoleBalancer on a simulated fleet: prefill and decode endpoints whose roles change while they run.
/// Their engines do both kinds of work.
class RoleChanges {
 public:
  void on_sent(const pd::LegTimes& expected, TimePoint now) { balancer_.on_sent(expected, now); }
  /// Once a second at most: gives an endpoint of the snapshot its new role. `in_flight`: requests that each engine has.
  /// The place of the one that was given it, if one was.
  std::optional<std::uint32_t> look(EndpointSnapshot& snapshot,
                                    const std::function<std::uint32_t(std::size_t)>& in_flight, TimePoint now);

  [[nodiscard]] std::uint64_t changes() const noexcept { return balancer_.changes(); }

 private:
  pd::RoleBalancer balancer_{{}};
  std::vector<pd::RoleView> views_;
  TimePoint next_{};
};

}  // namespace llmd::simulation
