#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace llmd {

/// How much of its traffic an endpoint may get while it stands out from its peers. Set by `health`, read by the
/// scheduler's last filter.
struct TrafficShare {
  enum class Cause : std::uint8_t { kNone, kSlow, kFailing };
  float share = 1;     // of the requests that would go there; 0: only probes, one at a time
  float observed = 0;  // kSlow: times as slow as its peers; kFailing: share of its requests that failed
  Cause cause = Cause::kNone;
  TimePoint probe_from{};  // with share 0: when the next probe may go

  friend bool operator==(const TrafficShare&, const TrafficShare&) = default;
};

/// "slow", "failing"; empty for none.
[[nodiscard]] std::string_view cause_name(TrafficShare::Cause cause) noexcept;

/// One clause for people: "half ejected: 3.2 times as slow as its peers".
[[nodiscard]] std::string describe(const TrafficShare& share);

/// Whether a request may go there that has `inflight` others before it there. The same request (its id's hash, and
/// when it is decided) and endpoint give the same answer; different endpoints answer independently of each other.
[[nodiscard]] bool admits(const TrafficShare& share, std::uint64_t request, std::string_view endpoint,
                          std::uint32_t inflight, TimePoint now) noexcept;

}  // namespace llmd
