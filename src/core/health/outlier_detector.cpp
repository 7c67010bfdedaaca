#include "health/outlier_detector.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/stable_sort.h"

namespace llmd::health {
namespace {

using Verdict = OutlierFinding::Verdict;

constexpr float kOwnDeviationFloor = 0.2F;  // of one request; three that happen to agree prove less
constexpr float kMedianError = 1.2533F;     // a median's standard error by a mean's
constexpr double kLuckMax = 0.2;
constexpr std::size_t kSmallClass = 16;  // beyond it one more value in a median is no matter

}  // namespace

std::optional<RobustSpread> OutlierDetector::peers_of(const OutlierMember& member, const Baseline& baseline) {
  if (baseline.values.size() > std::max<std::size_t>(kSmallClass, options_.peers_min)) return baseline.all;
  peers_.clear();
  for (std::size_t i = 0; i < baseline.values.size(); ++i) {
    if (baseline.owners[i] != &member) peers_.push_back(baseline.values[i]);
  }
  if (peers_.empty() || peers_.size() < options_.peers_min) return std::nullopt;
  return robust_spread(peers_);
}

bool OutlierDetector::look(std::span<OutlierMember* const> members, TimePoint now) {
  looked_at_ = now;
  by_class_.assign(members.begin(), members.end());
  stable_sort(by_class_,
              [](const OutlierMember* a, const OutlierMember* b) { return a->peer_class() < b->peer_class(); });
  bool changed = false;
  for (auto begin = by_class_.begin(); begin != by_class_.end();) {
    const auto end = std::find_if(begin, by_class_.end(), [&](const OutlierMember* each) {
      return each->peer_class() != (*begin)->peer_class();
    });
    changed |= look_at_class({begin, end}, now);
    begin = end;
  }
  return changed;
}

void OutlierDetector::measure(Group group, TimePoint now) {
  std::array<float, OutlierEvidence::kSamples> logs;
  for (Baseline* baseline : {&latencies_[0], &latencies_[1], &failure_shares_}) {
    baseline->values.clear();
    baseline->owners.clear();
  }
  for (const OutlierMember* member : group) {
    if (member->reduced()) continue;
    const auto add = [&](Baseline& to, float value) {
      to.values.push_back(value);
      to.owners.push_back(member);
    };
    for (const LatencyKind kind : {LatencyKind::kTtft, LatencyKind::kTpot}) {
      const auto [sent_from, ended_from, minimum, asked] = member->against(options_, now);
      const std::size_t count = member->evidence().ratios(kind, sent_from, ended_from, logs);
      if (count >= options_.observations_min)
        add(latencies_[static_cast<std::size_t>(kind)], median(std::span{logs}.first(count)));
    }
    const auto ended = member->evidence().ended(options_.window, now);
    if (ended.requests >= options_.observations_min)
      add(failure_shares_, static_cast<float>(ended.failures) / static_cast<float>(ended.requests));
  }
  for (Baseline* baseline : {&latencies_[0], &latencies_[1], &failure_shares_}) {
    if (baseline->values.empty()) continue;
    peers_ = baseline->values;
    baseline->all = robust_spread(peers_);
  }
}

bool OutlierDetector::look_at_class(Group group, TimePoint now) {
  const auto serving = std::ranges::count_if(group, &OutlierMember::serving);
  const auto allowed = static_cast<std::size_t>(options_.reduced_share_max * static_cast<double>(serving));
  bool changed = release_surplus(group, allowed, now);
  measure(group, now);
  accused_.clear();
  std::size_t reduced = 0;
  for (OutlierMember* member : group) {
    const OutlierFinding against = judge(*member, member->against(options_, now), now);
    if (!member->reduced()) {
      if (member->accused(against, options_, now) && against.verdict == Verdict::kOutlier)
        accused_.emplace_back(member, against);
      continue;
    }
    const float before = member->share().share;
    member->move(against, judge(*member, member->in_favour(options_, now), now), options_, now);
    changed |= member->share().share != before;
    if (member->reduced() && member->serving()) ++reduced;
  }
  stable_sort(accused_, [](const auto& a, const auto& b) { return a.second.severity > b.second.severity; });
  for (const auto& [member, finding] : accused_) {
    if (reduced >= allowed) break;
    if (!member->serving()) continue;
    member->cut(finding, options_, now);
    ++reduced;
    changed = true;
  }
  return changed;
}

bool OutlierDetector::release_surplus(Group group, std::size_t allowed, TimePoint now) {
  bool changed = false;
  while (true) {
    OutlierMember* least = nullptr;
    std::size_t reduced = 0;
    for (OutlierMember* member : group) {
      if (!member->reduced() || !member->serving()) continue;
      ++reduced;
      if (least == nullptr || member->severity() < least->severity()) least = member;
    }
    if (reduced <= allowed) return changed;
    least->release(now);
    changed = true;
  }
}

OutlierFinding OutlierDetector::judge(const OutlierMember& member, const OutlierMember::Question& question,
                                      TimePoint now) {
  if (!question.asked) return {};
  const TrafficShare::Cause accused_of = member.share().cause;
  OutlierFinding worst;
  const auto take = [&](const OutlierFinding& finding, TrafficShare::Cause about) {
    // Of an endpoint that was slow it says nothing that its answers do not fail, and the other way round.
    if (finding.verdict != Verdict::kOutlier && accused_of != about) return;
    if (finding.verdict > worst.verdict || (finding.verdict == worst.verdict && finding.severity > worst.severity))
      worst = finding;
  };
  // A first token also waits in queues that no model knows well: it counts only where nothing else is known.
  OutlierFinding latency = judge_latency(member, question, LatencyKind::kTpot);
  if (latency.verdict == Verdict::kUnknown) latency = judge_latency(member, question, LatencyKind::kTtft);
  take(latency, TrafficShare::Cause::kSlow);
  take(judge_failures(member, question, now), TrafficShare::Cause::kFailing);
  return worst;
}

OutlierFinding OutlierDetector::judge_latency(const OutlierMember& member, const OutlierMember::Question& question,
                                              LatencyKind kind) {
  std::array<float, OutlierEvidence::kSamples> logs;
  const std::size_t count = member.evidence().ratios(kind, question.sent_from, question.ended_from, logs);
  if (count == 0 || count < question.observations_min) return {};
  const RobustSpread own = robust_spread(std::span{logs}.first(count));
  const auto peers = peers_of(member, latencies_[static_cast<std::size_t>(kind)]);
  if (!peers) return {};
  const float factor_min = kind == LatencyKind::kTpot ? options_.tpot_factor_min : options_.ttft_factor_min;
  const float excess = own.centre - peers->centre;
  OutlierFinding finding{.verdict = Verdict::kLike, .observed = std::exp(excess), .severity = excess};
  if (excess <= std::log(options_.clear_factor)) return finding;
  finding.verdict = Verdict::kBetween;
  const float error = kMedianError * std::max(own.deviation, kOwnDeviationFloor) / std::sqrt(static_cast<float>(count));
  const float deviation = std::hypot(std::max(peers->deviation, options_.deviation_floor), error);
  if (excess <= std::log(factor_min) || excess <= options_.z_min * deviation) return finding;
  finding.verdict = Verdict::kOutlier;
  finding.cause = TrafficShare::Cause::kSlow;
  return finding;
}

OutlierFinding OutlierDetector::judge_failures(const OutlierMember& member, const OutlierMember::Question& question,
                                               TimePoint now) {
  const auto ended = member.evidence().ended(options_.window, now);
  if (ended.requests == 0 || ended.requests < question.observations_min) return {};
  const auto peers = peers_of(member, failure_shares_);
  if (!peers) return {};
  const double expected = std::max(options_.failure_share_expected, static_cast<double>(peers->centre));
  const double share = static_cast<double>(ended.failures) / ended.requests;
  // So few requests prove little: one in ten failing, would so many in a row still succeed?
  const bool enough = std::pow(1 - options_.failure_share_min, ended.requests) <= kLuckMax;
  OutlierFinding finding{.verdict = enough && share <= expected ? Verdict::kLike : Verdict::kBetween,
                         .observed = static_cast<float>(share)};
  const double chance = binomial_tail_bound(ended.failures, ended.requests, expected);
  const bool outlier = ended.failures >= options_.failures_min && share >= options_.failure_share_min &&
                       chance <= options_.failure_chance_max;
  if (!outlier) return finding;
  finding.verdict = Verdict::kOutlier;
  finding.cause = TrafficShare::Cause::kFailing;
  finding.severity = static_cast<float>(std::log(share / expected));
  return finding;
}

}  // namespace llmd::health
