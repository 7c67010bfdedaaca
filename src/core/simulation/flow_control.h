#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "flow/flow_controller.h"
#include "flow/saturation_gate.h"
#include "model/endpoint.h"
#include "scheduling/config.h"
#include "scheduling/scheduler.h"
#include "simulation/workload.h"

namespace llmd::simulation {

/// Flow control as the gateway has it, in front of a policy: a flow::FlowController and a flow::SaturationGate that see
/// what a gateway sees. A request's flow is its tenant. One object a fleet; not thread-safe; deterministic.
class FlowControl {
 public:
  /// Error kConfigInvalid.
  [[nodiscard]] static Result<std::unique_ptr<FlowControl>> make(const flow::FlowConfig& flow,
                                                                 const scheduling::SchedulingConfig& config);

  /// Whether the request may wait; if not, it was refused. `cached_tokens` of its prompt are expected at the best
  /// endpoint.
  [[nodiscard]] bool enter(const SimRequest& request, std::uint32_t cached_tokens, TimePoint now);

  /// A request leaves: it goes on to the policy, or has waited too long.
  struct Leaving {
    std::uint64_t id = 0;
    bool dispatched = false;
  };
  /// Appends those that leave now; each that was dispatched must be in `live` before the next call.
  void look(const EndpointSnapshot& snapshot, std::span<const scheduling::LiveLoad> live, TimePoint now,
            std::vector<Leaving>& leaving);
  /// A request that was dispatched has ended; with 0 tokens if it failed.
  void finished(const SimRequest& request, std::uint32_t output_tokens, TimePoint now);

  /// When look() lets the next one go for having waited too long, if nothing happens before.
  [[nodiscard]] std::optional<TimePoint> next_deadline() const { return controller_.next_deadline(); }
  [[nodiscard]] std::uint64_t waiting() const noexcept { return controller_.waiting(); }

 private:
  struct Running {
    std::int32_t band = 0;
    std::uint32_t output_tokens_expected = 0;
  };
  FlowControl(flow::FlowRules rules, flow::SaturationGate gate);

  flow::FlowController controller_;
  flow::SaturationGate gate_;
  std::unordered_map<std::uint64_t, Running> running_;  // by id
  std::vector<flow::Departure> departures_;             // scratch
};

}  // namespace llmd::simulation
