#include "model/traffic_share.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "base/rng.h"

namespace llmd {
namespace {

std::string how_much(float share) {
  if (share <= 0) return "ejected but for probes";
  if (share == 0.5F) return "half ejected";
  return fmt::format("ejected but for {:.0f} % of its traffic", share * 100);
}

}  // namespace

std::string_view cause_name(TrafficShare::Cause cause) noexcept {
  switch (cause) {
    case TrafficShare::Cause::kNone: return "";
    case TrafficShare::Cause::kSlow: return "slow";
    case TrafficShare::Cause::kFailing: return "failing";
  }
  return "";
}

std::string describe(const TrafficShare& share) {
  switch (share.cause) {
    case TrafficShare::Cause::kNone: return "has its full share";
    case TrafficShare::Cause::kSlow:
      return fmt::format("{}: {:.1f} times as slow as its peers", how_much(share.share), share.observed);
    case TrafficShare::Cause::kFailing:
      return fmt::format("{}: {:.0f} % of its requests failed, more than its peers'", how_much(share.share),
                         share.observed * 100);
  }
  return {};
}

bool admits(const TrafficShare& share, std::uint64_t request, std::string_view endpoint, std::uint32_t inflight,
            TimePoint now) noexcept {
  if (share.share >= 1) return true;
  if (share.share <= 0) return inflight == 0 && now >= share.probe_from;
  const auto when = static_cast<std::uint64_t>(now.time_since_epoch().count());
  Rng drawn{xxh64(endpoint, request ^ when)};
  return drawn.uniform() < static_cast<double>(share.share);
}

}  // namespace llmd
