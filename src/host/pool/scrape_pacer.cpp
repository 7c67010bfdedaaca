#include "pool/scrape_pacer.h"

#include <algorithm>

namespace llmd::pool {
namespace {

constexpr Duration kBetweenSamples = milliseconds{200};
constexpr double kNewShare = 0.3;  // of the moving mean: what the newest cost counts

Duration scaled(Duration duration, double factor) noexcept {
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double, Duration::period>{static_cast<double>(duration.count()) * factor});
}

}  // namespace

void ScrapePacer::sample(Duration cpu, std::uint64_t looks, TimePoint now) noexcept {
  const Mark mark{.cpu = cpu, .looks = looks, .at = now};
  if (!last_) {
    last_ = mark;
    return;
  }
  const Duration passed = now - last_->at;
  if (passed < kBetweenSamples) return;
  const Duration used = std::max(Duration{}, cpu - last_->cpu);
  share_ = to_seconds(used) / to_seconds(passed);
  if (looks > last_->looks) {
    const Duration cost = scaled(used, 1.0 / static_cast<double>(looks - last_->looks));
    cost_ = cost_ == Duration{} ? cost : cost_ + scaled(cost - cost_, kNewShare);
  }
  last_ = mark;
}

double ScrapePacer::stretch(double looks_per_second) const noexcept {
  return std::max(1.0, looks_per_second * to_seconds(cost_) / share_max_);
}

}  // namespace llmd::pool
