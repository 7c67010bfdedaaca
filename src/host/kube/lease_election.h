#pragma once

#include <optional>
#include <string>

#include "base/clock.h"

namespace llmd::kube {

/// What a coordination.k8s.io/v1 Lease says (its spec, without what elections do not use).
struct LeaseSpec {
  std::string holder{};    // empty: nobody
  int duration_s = 0;      // for which the holder may be trusted after it renewed
  std::string acquired{};  // RFC 3339 with microseconds, as the server has them
  std::string renewed{};
  int transitions = 0;

  auto operator<=>(const LeaseSpec&) const = default;
};

/// client-go's defaults for leader election, which llm-d's picker has.
struct LeaseTimes {
  Duration duration = seconds{15};        // after which others may take a lease that is not renewed
  Duration renew_deadline = seconds{10};  // after which a holder that could not renew no longer leads
  Duration retry = seconds{2};            // between two attempts
};

/// Who leads, by a lease that replicas take and renew: the rules of client-go's leaderelection as a state machine. The
/// clocks of replicas need not agree: a lease counts as left when it has not changed for its duration on our own clock.
class LeaseElection {
 public:
  LeaseElection(std::string identity, LeaseTimes times) : identity_{std::move(identity)}, times_{times} {}

  /// What the server says now; nothing: there is no lease. Returns what to write, if it is ours to write. `wall`: the
  /// time of day in Kubernetes' form.
  [[nodiscard]] std::optional<LeaseSpec> next(const std::optional<LeaseSpec>& seen, TimePoint now,
                                              const std::string& wall);
  /// The server took it. What it refuses (a conflict) or never answers need not be told.
  void written(const LeaseSpec& spec, TimePoint now);
  /// What to write to let others lead at once; nothing: it is not ours.
  [[nodiscard]] std::optional<LeaseSpec> release(const std::string& wall);

  [[nodiscard]] bool leads(TimePoint now) const noexcept;
  [[nodiscard]] const std::string& holder() const noexcept { return seen_.holder; }

 private:
  const std::string identity_;
  const LeaseTimes times_;
  LeaseSpec seen_;
  std::optional<TimePoint> seen_at_;  // when it last changed
  std::optional<TimePoint> renewed_at_;
};

}  // namespace llmd::kube
