#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "flow/config.h"
#include "flow/gate_reading.h"
#include "model/endpoint.h"
#include "scheduling/plugin_spec.h"
#include "scheduling/scheduler.h"

namespace llmd::flow {

/// Reads how full the endpoints are, for the gate of flow control: the configured saturation detector over the
/// endpoints that prefill and over those that decode, of which the fuller counts, as in llm-d. Two things differ from
/// asking the detector alone:
/// - What was sent and what ended since an endpoint's last reading is added to it, so that the gate neither overshoots
///   between two scrapes nor waits for the next one. Requests count as waiting once they are more than the endpoint was
///   ever seen to run at once.
/// - An endpoint with old or missing metrics is judged by what was sent to it instead of counting as full: what it was
///   ever seen to run does not wait, and its KV use counts as 0. A scrape that fails does not stop the traffic.
///   GateReading::stale tells how many there are.
/// Endpoints that are down or draining do not count. Those on trial count only if no other decodes: then one request
/// each may go, as the scheduler sends no more to them. Not thread-safe. Cost: O(endpoints), about 20 ns
/// and 300 bytes each.
class SaturationGate {
 public:
  /// The detector that the configuration names; its type's name alone stands for one with its defaults. Error
  /// kConfigInvalid: it names something else.
  [[nodiscard]] static Result<SaturationGate> make(const FlowConfig& flow, const scheduling::SchedulingConfig& config);

  struct Input {
    const EndpointSnapshot& snapshot;
    std::span<const scheduling::LiveLoad> live;  // one an endpoint, or empty: the snapshot's numbers count
    std::uint64_t undecided = 0;                 // requests that were let through and are not counted there yet
    TimePoint now;
  };
  [[nodiscard]] GateReading read(const Input& input);
  /// Takes over what the gate of an older configuration has seen of the endpoints.
  void remember(SaturationGate&& before) noexcept;
  [[nodiscard]] const std::string& detector_name() const noexcept { return detector_name_; }

 private:
  /// How many requests were in flight, and when.
  struct Sample {
    TimePoint at{};
    std::uint32_t live = 0;
  };
  static constexpr std::size_t kSamples = 16;
  /// What is remembered of an endpoint between two reads.
  struct Known {
    std::array<Sample, kSamples> samples{};  // of late, a ring: a reading tells of the past
    std::size_t next_sample = 0;
    TimePoint read_at{};             // of the reading that `live_then` belongs to
    std::uint32_t live_then = 0;     // requests in flight there at that time
    std::uint32_t running_most = 0;  // that it was seen to run
    bool prefills = false;
    bool decodes = false;

    void sample(std::uint32_t live, TimePoint now) noexcept;
    [[nodiscard]] std::uint32_t live_at(TimePoint at) const noexcept;
  };
  struct Stage {
    float saturation = -1;
    float per_request = 0;
  };

  SaturationGate() = default;
  void adopt(const EndpointSnapshot& snapshot);
  void bring_up_to_date(std::size_t i, const EndpointState& seen, std::uint32_t live_now, TimePoint now);
  void count_live(const Input& input, GateReading& reading);
  [[nodiscard]] Stage look_at(std::span<const scheduling::EndpointIndex> endpoints, TimePoint now);
  [[nodiscard]] Stage look_at_trials(std::uint64_t undecided) const;

  scheduling::PluginObjects objects_;
  std::string detector_name_;
  Duration age_max_ = seconds{2};
  RequestFacts nobody_;
  std::vector<EndpointState> states_;  // as the snapshot's, with the readings brought up to date
  std::vector<scheduling::LiveLoad> live_;
  std::vector<Known> known_;                        // one an endpoint
  std::vector<scheduling::EndpointIndex> prefill_;  // scratch
  std::vector<scheduling::EndpointIndex> decode_;
  std::vector<scheduling::EndpointIndex> ordinary_;  // those that serve, but for
  std::vector<scheduling::EndpointIndex> trials_;
};

}  // namespace llmd::flow
