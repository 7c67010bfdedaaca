#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "apps/sim/prober.h"
#include "base/clock.h"
#include "base/error.h"
#include "simulation/profile_fit.h"

namespace llmd::sim {

/// How many times as long as its profile says an endpoint takes beside busy ones.
struct Slowness {
  double times = 1;
  double least = 1;  // of one pass, and the most
  double most = 1;
  std::size_t passes = 0;
};

struct SlownessOptions {
  ProbeTarget target;             // has nothing else to do
  std::vector<ProbeTarget> busy;  // are kept so meanwhile
  simulation::HardwareProfile profile{};
  double tokens_per_word = 1;
  std::uint32_t prompt_tokens_max = 512;
  TimePoint deadline{};
};

/// Measures passes of a mix of prompts and decodings, in turn while the busy ones decode and while they compute prompts
/// that nothing is cached of. Blocks until the deadline. `progress` hears of each pass. Errors: those of the endpoints,
/// kDeadlineExceeded (no pass of each kind was done by then).
[[nodiscard]] Result<Slowness> measure_slowness(const SlownessOptions& options,
                                                const std::function<void(std::string_view)>& progress);

/// One pass: what was measured over what a profile predicts, each sample with the weight of its time.
class PassTime {
 public:
  explicit PassTime(const simulation::HardwareProfile& profile) noexcept : profile_{profile} {}

  /// `count`: how often the sample came, as steps of a decoding do.
  void add(const simulation::CostSample& sample, double count = 1);
  /// 1 of nothing.
  [[nodiscard]] double ratio() const noexcept { return predicted_s_ > 0 ? measured_s_ / predicted_s_ : 1; }

 private:
  const simulation::HardwareProfile& profile_;
  double measured_s_ = 0;
  double predicted_s_ = 0;
};

/// The mean of both medians, which a single disturbed pass hardly moves. Pre: neither is empty.
[[nodiscard]] Slowness slowness_of(const std::vector<double>& beside_decoding,
                                   const std::vector<double>& beside_prompts);

/// HardwareProfile::neighbour_slowdown, if beside so many busy cores (above 0) all takes `times` as long.
[[nodiscard]] double neighbour_slowdown(double times, std::size_t neighbours) noexcept;

struct Sharers {
  std::size_t on_this_core = 1;  // without the endpoint itself
  std::size_t neighbours = 0;    // other cores that are busy
  double neighbour_slowdown = 0;
};
/// HardwareProfile::sharing_slowdown, if beside all of these all takes `times` as long.
[[nodiscard]] double sharing_slowdown(double times, const Sharers& sharers) noexcept;

}  // namespace llmd::sim
