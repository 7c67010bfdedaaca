#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "health/flat_readings.h"
#include "health/outlier_detector.h"
#include "model/latency_basis.h"
#include "scheduling/prediction/latency_predictor.h"
#include "simulation/policy.h"

namespace llmd::simulation {

/// An endpoint's share of traffic that has changed.
struct ShareChange {
  TimePoint at{};
  std::uint32_t endpoint = 0;
  TrafficShare share{};
};

/// The gateway's outlier detection in the twin: the same detector, fed with the same expectations, under any policy.
/// Deterministic; not thread-safe.
class FleetOutliers {
 public:
  FleetOutliers(const health::OutlierOptions& options, const EndpointSnapshot& snapshot);

  /// Hides from a policy that does not heed shares what it is not to choose now, while it chooses; never the last of
  /// a class that is ready.
  void hide(const PolicyInput& input, EndpointSnapshot& snapshot);
  void unhide(EndpointSnapshot& snapshot);

  /// The request goes to `choice.decode`. Returns what is to be expected, for ended(). Pre: live counters without it.
  [[nodiscard]] LatencyBasis sent(const PolicyInput& input, const PolicyChoice& choice, EndpointSnapshot& snapshot);
  /// It ended there.
  void ended(const PolicyOutcome& outcome, const LatencyBasis& expected, TimePoint sent_at, TimePoint now);
  /// A scrape of the endpoint has arrived.
  void on_readings(std::uint32_t place, EndpointState& state, std::uint32_t inflight, TimePoint at);
  /// After scrapes: looks at all, if it is time, and puts the shares into the snapshot.
  void look(EndpointSnapshot& snapshot, TimePoint now, std::vector<ShareChange>& changes);
  /// A new process.
  void lost(std::uint32_t place, EndpointSnapshot& snapshot, TimePoint now, std::vector<ShareChange>& changes);

 private:
  [[nodiscard]] bool on() const noexcept { return detector_.options().enabled; }
  /// Fresh, in the place's class.
  [[nodiscard]] static health::OutlierMember member_of(const EndpointState& state);

  health::OutlierDetector detector_;
  scheduling::LatencyPredictor yardstick_{{}};
  std::vector<health::OutlierMember> members_;  // by place
  std::vector<health::OutlierMember*> all_;
  std::vector<std::string> names_;  // by place
  std::vector<health::FlatReadings> flats_;
  std::uint32_t reduced_ = 0;  // endpoints below full share
  struct Hidden {
    std::uint32_t place;
    EndpointHealth health;
  };
  std::vector<Hidden> hidden_;
};

}  // namespace llmd::simulation
