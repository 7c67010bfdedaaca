#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "flow/flow_controller.h"

namespace llmd::flow {

/// Which requests in flight make room for waiting ones of a higher priority. Only those of negative priority may be
/// cut: the lowest priority first, of equals the newest. A decision asks for as many as the saturation is above the
/// waiting band's ceiling by, at the mean share of one request, but at most kVictimsMax; the next waits until those
/// have ended, or kConfirmTimeout, and then kCooling for the metrics to show it (llm-d's sizes). Not thread-safe. O(log
/// n) a change, about 120 bytes a request in flight.
class EvictionPlanner {
 public:
  static constexpr std::size_t kVictimsMax = 2;
  static constexpr Duration kConfirmTimeout = seconds{10};
  static constexpr Duration kCooling = milliseconds{500};

  /// Pre: no request in flight has this id.
  void started(std::uint64_t id, std::int32_t priority, TimePoint now);
  /// However it ended: how long after it was named, if it was. Nothing for an id that is not in flight.
  std::optional<Duration> ended(std::uint64_t id, TimePoint now);
  /// Whom to cut now so that `blocked` can be served; each is named once. Empty mostly.
  [[nodiscard]] std::vector<std::uint64_t> choose(float saturation, const FlowController::Blocked& blocked,
                                                  TimePoint now);
  /// In units of saturation, for metrics, as llm-d has them.
  struct Reclaim {
    float target = 0;   // by how much the saturation was above the ceiling at the last decision
    float pending = 0;  // what its victims hold, until they have ended and kCooling is over
  };
  [[nodiscard]] Reclaim reclaim(TimePoint now) const noexcept;
  /// How many victims did not end within kConfirmTimeout, so far.
  [[nodiscard]] std::uint64_t given_up() const noexcept { return given_up_; }

 private:
  struct Running {
    std::int32_t priority = 0;
    TimePoint since{};
  };
  struct VictimKey {
    std::int32_t priority = 0;
    TimePoint since{};
    std::uint64_t id = 0;
    friend bool operator<(const VictimKey& a, const VictimKey& b) noexcept {
      if (a.priority != b.priority) return a.priority < b.priority;
      if (a.since != b.since) return a.since > b.since;
      return a.id > b.id;
    }
  };

  std::unordered_map<std::uint64_t, Running> in_flight_;
  std::set<VictimKey> victims_;                         // of negative priority, not named yet; the next first
  std::unordered_map<std::uint64_t, TimePoint> named_;  // and when
  TimePoint cool_at_{};
  float target_ = 0;
  float share_of_one_ = 0;   // of the saturation, at the last decision
  std::size_t cooling_ = 0;  // victims of it that have ended, or were given up
  std::uint64_t given_up_ = 0;
};

}  // namespace llmd::flow
