#include "flow/item.h"

namespace llmd::flow {

std::string_view outcome_name(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::kDispatched: return "Dispatched";
    case Outcome::kRejectedCapacity: return "RejectedCapacity";
    case Outcome::kRejectedNoEndpoints: return "RejectedNoEndpoints";
    case Outcome::kEvictedTtl: return "EvictedTTL";
    case Outcome::kEvictedNoEndpoints: return "EvictedNoEndpoints";
    case Outcome::kEvictedCancelled: return "EvictedContextCancelled";
    case Outcome::kEvictedShuttingDown: return "EvictedOther";
  }
  return "EvictedOther";
}

std::string_view dropped_reason(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::kDispatched: return {};
    case Outcome::kRejectedCapacity: return "rejected-saturated";
    case Outcome::kRejectedNoEndpoints:
    case Outcome::kEvictedNoEndpoints: return "rejected-no-endpoints";
    case Outcome::kEvictedTtl: return "rejected-ttl-expired";
    case Outcome::kEvictedCancelled: return "rejected-context-cancelled";
    case Outcome::kEvictedShuttingDown: return "rejected-shutting-down";
  }
  return {};
}

int outcome_status(Outcome outcome) noexcept {
  constexpr int kTooMany = 429;
  constexpr int kUnavailable = 503;
  return outcome == Outcome::kRejectedCapacity || outcome == Outcome::kEvictedTtl ? kTooMany : kUnavailable;
}

}  // namespace llmd::flow
