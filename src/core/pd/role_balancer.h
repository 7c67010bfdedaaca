#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "model/endpoint.h"
#include "pd/leg_times.h"

namespace llmd::pd {

struct RoleBalancerOptions {
  double pressure_min = 0.5;                  // of objectives; with less nobody is in need
  double ratio_min = 2;                       // a role is in need if its pressure is so many times the other's ...
  Duration hold = std::chrono::seconds{10};   // ... for so long
  Duration pause = std::chrono::seconds{15};  // after a change has ended
  Duration drain_max = std::chrono::seconds{60};
  Duration half_life = std::chrono::seconds{10};  // of what was seen
  std::uint32_t observations_min = 4;             // of late, before a role can be in need
};

/// An endpoint as the balancer sees it.
struct RoleView {
  std::string_view endpoint;
  EndpointRole role = EndpointRole::kUnified;
  bool may_change = true;  // it can do both, and is up
  std::uint32_t in_flight = 0;
};

/// Only endpoints with the label kRoleMayChangeLabel "true", with one of the two roles and ready, may change. The view
/// refers to the state.
[[nodiscard]] RoleView role_view(const EndpointState& state, std::uint32_t in_flight);

/// Says, as "true", that the endpoint can prefill and decode, so that its role may change at run time.
inline constexpr std::string_view kRoleMayChangeLabel = "llmd.ai/role-may-change";
/// Value of the role label of an endpoint that is between two roles: neither filter wants it.
inline constexpr std::string_view kNoRole = "changing";

/// An endpoint's new role. None: it takes no new request until those that it has have ended.
struct RoleChange {
  std::string endpoint;
  std::optional<EndpointRole> role;
};

/// Changes the roles of prefill and decode endpoints when the mix of work asks for it: when the one role is pressed for
/// time (its legs will take long against the objectives) and the other is not. One endpoint at a time, the least busy;
/// what it has in flight ends before it serves in its new role. Hysteresis: the need must last, changes are apart, and
/// the way back needs the same reasons. One endpoint of each role stays. Not thread-safe; O(endpoints) a tick.
class RoleBalancer {
 public:
  explicit RoleBalancer(RoleBalancerOptions options) noexcept : options_{options} {}

  void on_sent(const LegTimes& times, TimePoint now) noexcept;
  /// Call about once a second. The caller applies the change.
  [[nodiscard]] std::optional<RoleChange> tick(std::span<const RoleView> endpoints, TimePoint now);

  struct Pressure {
    double prefill = 0;
    double decode = 0;
  };
  [[nodiscard]] Pressure pressure(TimePoint now) const noexcept;
  /// Changes that have ended.
  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }

 private:
  /// A mean of what was seen of late.
  struct Mean {
    double sum = 0;
    double weight = 0;
    TimePoint at{};
  };
  struct Changing {
    std::string endpoint;
    EndpointRole to;
    TimePoint since;
  };
  [[nodiscard]] double left(const Mean& mean, TimePoint now) const noexcept;
  void add(Mean& mean, double value, TimePoint now) noexcept;
  [[nodiscard]] double value(const Mean& mean, TimePoint now) const noexcept;
  [[nodiscard]] std::optional<EndpointRole> in_need(TimePoint now) const noexcept;
  [[nodiscard]] std::optional<RoleChange> go_on(std::span<const RoleView> endpoints, TimePoint now);

  RoleBalancerOptions options_;
  Mean prefill_;
  Mean first_token_;
  Mean token_;
  std::optional<Changing> changing_;
  std::optional<EndpointRole> needed_;  // and since when
  TimePoint needed_since_{};
  std::optional<TimePoint> changed_at_;
  std::uint64_t changes_ = 0;
};

}  // namespace llmd::pd
