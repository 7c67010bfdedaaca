#include "health/outlier_member.h"

#include <algorithm>
#include <utility>

namespace llmd::health {
namespace {

using Verdict = OutlierFinding::Verdict;

constexpr std::uint32_t kAccusations = 2;  // looks in a row, each with news, before the first step down
constexpr float kShareMin = 0.25F;         // below it come probes
constexpr int kPatience = 4;               // times `hold` for requests that were sent and have not ended
constexpr std::uint32_t kDoublingsMax = 16;

}  // namespace

void OutlierMember::on_sent(const OutlierOptions& options, TimePoint now) noexcept {
  if (!reduced()) return;
  if (share_.share <= 0) {
    if (now < share_.probe_from) return;  // it was on its way, or nobody else could serve
    share_.probe_from = now + options.probe_gap;
  }
  ++sent_;
}

void OutlierMember::on_ended(bool failed, const OutlierOptions& options, TimePoint now) noexcept {
  if (now < changed_at_) return;  // in a pause: of before
  evidence_.on_ended(failed, options.window, now);
  news_ = true;
}

void OutlierMember::on_latency(const LatencySample& sample, TimePoint now) noexcept {
  evidence_.on_latency(sample, now);
  news_ = true;
}

bool OutlierMember::held(const OutlierOptions& options, TimePoint now) const noexcept {
  return now - changed_at_ >= options.hold;
}

OutlierMember::Question OutlierMember::against(const OutlierOptions& options, TimePoint now) const noexcept {
  const TimePoint window_begin = now - options.window;
  if (!reduced())
    return {.sent_from = count_from_,
            .ended_from = window_begin,
            .observations_min = options.observations_min,
            .asked = news_};
  if (share_.share <= 0)
    return {.sent_from = changed_at_,
            .ended_from = changed_at_,
            .observations_min = options.probes,
            .asked = now >= changed_at_};
  return {.sent_from = count_from_,
          .ended_from = changed_at_,
          .observations_min = held(options, now) ? options.probes : options.observations_min,
          .asked = true};
}

OutlierMember::Question OutlierMember::in_favour(const OutlierOptions& options, TimePoint now) const noexcept {
  const bool ejected = share_.share <= 0;
  return {.sent_from = changed_at_,
          .ended_from = changed_at_,
          .observations_min = ejected ? options.probes : options.observations_min,
          .asked = now >= changed_at_};
}

bool OutlierMember::accused(const OutlierFinding& finding, const OutlierOptions& options, TimePoint now) noexcept {
  if (ejections_ > 0 && now - forgiven_at_ >= options.forgive_after) {
    --ejections_;
    forgiven_at_ = now;
  }
  if (!std::exchange(news_, false)) return accused_ >= kAccusations;
  accused_ = finding.verdict == Verdict::kOutlier ? accused_ + 1 : 0;
  return accused_ >= kAccusations;
}

void OutlierMember::eject(const OutlierOptions& options, TimePoint now) noexcept {
  const Duration pause =
      std::min(options.pause_max, options.pause_min * (std::int64_t{1} << std::min(ejections_, kDoublingsMax)));
  ++ejections_;
  share_.share = 0;
  share_.probe_from = now + pause;
  changed_at_ = share_.probe_from;
}

void OutlierMember::cut(const OutlierFinding& finding, const OutlierOptions& options, TimePoint now) noexcept {
  share_.cause = finding.cause;
  share_.observed = finding.observed;
  severity_ = finding.severity;
  changed_at_ = now;
  sent_ = 0;
  accused_ = 0;
  news_ = false;
  if (share_.share <= kShareMin) {
    eject(options, now);
  } else {
    share_.share /= 2;
  }
  evidence_.forget_ended();
}

void OutlierMember::raise(TimePoint now) noexcept {
  const float share = share_.share <= 0 ? kShareMin : 2 * share_.share;
  if (share >= 1) return release(now);
  share_.share = share;
  share_.probe_from = {};
  changed_at_ = count_from_ = now;
  sent_ = 0;
  evidence_.forget_ended();
}

void OutlierMember::release(TimePoint now) noexcept {
  share_ = {};
  severity_ = 0;
  changed_at_ = count_from_ = forgiven_at_ = now;
  accused_ = 0;
  news_ = false;
  evidence_.forget_ended();
}

void OutlierMember::move(const OutlierFinding& against, const OutlierFinding& in_favour, const OutlierOptions& options,
                         TimePoint now) noexcept {
  news_ = false;
  if (now < changed_at_) return;
  if (against.verdict == Verdict::kOutlier) return cut(against, options, now);
  const bool probed = share_.share <= 0 && in_favour.verdict != Verdict::kUnknown;
  if (probed || in_favour.verdict == Verdict::kLike) return raise(now);
  if (!held(options, now)) return;
  // Nobody is hurt by an endpoint that gets nothing; but what it got may still be running, slowly.
  const bool waits =
      in_favour.verdict == Verdict::kUnknown && sent_ > 0 && now - changed_at_ < kPatience * options.hold;
  if (!waits) raise(now);
}

}  // namespace llmd::health
