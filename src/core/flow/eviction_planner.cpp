#include "flow/eviction_planner.h"

#include <algorithm>
#include <cmath>

namespace llmd::flow {

void EvictionPlanner::started(std::uint64_t id, std::int32_t priority, TimePoint now) {
  in_flight_.emplace(id, Running{.priority = priority, .since = now});
  if (priority < 0) victims_.insert({.priority = priority, .since = now, .id = id});
}

std::optional<Duration> EvictionPlanner::ended(std::uint64_t id, TimePoint now) {
  const auto found = in_flight_.find(id);
  if (found == in_flight_.end()) return std::nullopt;
  victims_.erase({.priority = found->second.priority, .since = found->second.since, .id = id});
  in_flight_.erase(found);
  const auto named = named_.find(id);
  if (named == named_.end()) return std::nullopt;
  const Duration took = now - named->second;
  named_.erase(named);
  ++cooling_;
  cool_at_ = std::max(cool_at_, now + kCooling);
  return took;
}

std::vector<std::uint64_t> EvictionPlanner::choose(float saturation, const FlowController::Blocked& blocked,
                                                   TimePoint now) {
  // One that does not end holds nobody up for ever.
  const std::size_t gave_up =
      std::erase_if(named_, [now](const auto& named) { return now - named.second >= kConfirmTimeout; });
  given_up_ += gave_up;
  cooling_ += gave_up;
  if (gave_up > 0) cool_at_ = std::max(cool_at_, now + kCooling);
  // A ceiling of 0 is a policy's word that nothing goes, however much room there is.
  if (!named_.empty() || now < cool_at_ || blocked.ceiling <= 0 || !(saturation > 0)) return {};
  if (victims_.empty() || victims_.begin()->priority >= blocked.priority) return {};
  target_ = saturation - blocked.ceiling;
  share_of_one_ = saturation / static_cast<float>(std::max<std::size_t>(1, in_flight_.size()));
  cooling_ = 0;
  const float wanted = std::max(1.0F, std::ceil(target_ / share_of_one_));
  const auto victims_max = static_cast<std::size_t>(std::min(wanted, static_cast<float>(kVictimsMax)));
  std::vector<std::uint64_t> chosen;
  while (chosen.size() < victims_max && !victims_.empty() && victims_.begin()->priority < blocked.priority) {
    chosen.push_back(victims_.begin()->id);
    named_.emplace(victims_.begin()->id, now);
    victims_.erase(victims_.begin());
  }
  return chosen;
}

EvictionPlanner::Reclaim EvictionPlanner::reclaim(TimePoint now) const noexcept {
  const std::size_t holding = named_.size() + (named_.empty() && now >= cool_at_ ? 0 : cooling_);
  return {.target = target_, .pending = static_cast<float>(holding) * share_of_one_};
}

}  // namespace llmd::flow
