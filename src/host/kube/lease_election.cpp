#include "kube/lease_election.h"

namespace llmd::kube {

std::optional<LeaseSpec> LeaseElection::next(const std::optional<LeaseSpec>& seen, TimePoint now,
                                             const std::string& wall) {
  LeaseSpec wanted{.holder = identity_,
                   .duration_s = static_cast<int>(std::chrono::duration_cast<seconds>(times_.duration).count()),
                   .acquired = wall,
                   .renewed = wall};
  if (!seen) {
    seen_ = {};
    return wanted;
  }
  if (!seen_at_ || *seen != seen_) {
    seen_ = *seen;
    seen_at_ = now;
  }
  if (seen_.holder == identity_) {
    wanted.acquired = seen_.acquired;
    wanted.transitions = seen_.transitions;
    return wanted;
  }
  renewed_at_.reset();
  if (!seen_.holder.empty() && now < *seen_at_ + times_.duration) return {};
  wanted.transitions = seen_.transitions + 1;
  return wanted;
}

void LeaseElection::written(const LeaseSpec& spec, TimePoint now) {
  seen_ = spec;
  seen_at_ = now;
  if (spec.holder == identity_) {
    renewed_at_ = now;
  } else {
    renewed_at_.reset();
  }
}

std::optional<LeaseSpec> LeaseElection::release(const std::string& wall) {
  if (!renewed_at_) return {};
  return LeaseSpec{.holder = {}, .duration_s = 1, .acquired = wall, .renewed = wall, .transitions = seen_.transitions};
}

bool LeaseElection::leads(TimePoint now) const noexcept {
  return renewed_at_ && now < *renewed_at_ + times_.renew_deadline;
}

}  // namespace llmd::kube
