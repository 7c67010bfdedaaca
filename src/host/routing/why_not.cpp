#include "routing/why_not.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "base/stable_sort.h"
#include "scheduling/nearest_name.h"

namespace llmd::routing {
namespace {

std::set<std::string_view> known_names(const RequestRecord& record, std::span<const std::string> pool_names) {
  std::set<std::string_view> names{pool_names.begin(), pool_names.end()};
  for (const ProfileExplanation& profile : record.explanation.profiles) {
    for (const FilteredOut& out : profile.filtered) names.insert(out.endpoint->name);
    for (const CandidateScore& candidate : profile.candidates) names.insert(candidate.endpoint->name);
  }
  return names;
}

/// Finds out who is meant, or who may be.
void resolve(const std::set<std::string_view>& names, std::string_view asked, WhyNot& answer) {
  constexpr std::size_t kToldMax = 8;
  if (names.contains(asked)) {
    answer.endpoint = asked;
    return;
  }
  std::vector<std::string_view> with;
  std::copy_if(names.begin(), names.end(), std::back_inserter(with),
               [&](std::string_view name) { return name.find(asked) != std::string_view::npos; });
  if (with.size() == 1) {
    answer.endpoint = with.front();
  } else if (!with.empty()) {
    answer.meant.assign(with.begin(), with.begin() + static_cast<std::ptrdiff_t>(std::min(with.size(), kToldMax)));
  } else {
    const std::vector<std::string_view> all{names.begin(), names.end()};
    answer.hint = scheduling::nearest_name_hint(asked, all);
  }
}

Verdict::Kind compare(const CandidateScore& own, const CandidateScore& chosen) {
  constexpr float kRounding = 1e-5F;
  const float behind = chosen.total - own.total;
  if (std::abs(behind) <= kRounding * std::max(1.0F, std::abs(chosen.total))) return Verdict::Kind::kTied;
  return behind > 0 ? Verdict::Kind::kScoredLower : Verdict::Kind::kPassedOver;
}

const CandidateScore* find_candidate(const ProfileExplanation& profile, std::string_view name) {
  const auto found = std::ranges::find_if(profile.candidates, [&](const auto& c) { return c.endpoint->name == name; });
  return found == profile.candidates.end() ? nullptr : &*found;
}

Verdict judge(const ProfileExplanation& profile, std::string_view name) {
  Verdict verdict{.profile = &profile, .chosen = find_candidate(profile, profile.chosen)};
  const auto out = std::ranges::find_if(profile.filtered, [&](const auto& f) { return f.endpoint->name == name; });
  if (out != profile.filtered.end()) {
    verdict.kind = Verdict::Kind::kFiltered;
    verdict.filtered = &*out;
    return verdict;
  }
  verdict.own = find_candidate(profile, name);
  if (verdict.own == nullptr) {
    const bool all_listed =
        profile.filtered.size() == profile.filtered_total && profile.candidates.size() == profile.candidates_total;
    verdict.kind = all_listed ? Verdict::Kind::kNotThere : Verdict::Kind::kNotRecorded;
    return verdict;
  }
  if (verdict.own == verdict.chosen || verdict.chosen == nullptr) {
    verdict.kind = Verdict::Kind::kChosen;
    return verdict;
  }
  verdict.kind = compare(*verdict.own, *verdict.chosen);
  verdict.gaps = score_gaps(profile, static_cast<std::size_t>(verdict.own - profile.candidates.data()));
  return verdict;
}

}  // namespace

std::vector<ScorerGap> score_gaps(const ProfileExplanation& profile, std::size_t candidate) {
  std::vector<ScorerGap> gaps;
  const CandidateScore* const chosen = find_candidate(profile, profile.chosen);
  if (chosen == nullptr) return gaps;
  const auto of_chosen = profile.parts_of(static_cast<std::size_t>(chosen - profile.candidates.data()));
  const auto own = profile.parts_of(candidate);
  for (std::size_t s = 0; s < profile.scorers.size(); ++s) {
    const ScorerWeight& scorer = profile.scorers[s];
    gaps.push_back({.scorer = scorer.name,
                    .weight = scorer.weight,
                    .own = own[s],
                    .chosen = of_chosen[s],
                    .difference = (own[s].score - of_chosen[s].score) * scorer.weight});
  }
  stable_sort(gaps,
              [](const ScorerGap& a, const ScorerGap& b) { return std::abs(a.difference) > std::abs(b.difference); });
  return gaps;
}

std::string_view verdict_name(Verdict::Kind kind) noexcept {
  switch (kind) {
    case Verdict::Kind::kChosen: return "chosen";
    case Verdict::Kind::kFiltered: return "filtered";
    case Verdict::Kind::kScoredLower: return "scored_lower";
    case Verdict::Kind::kTied: return "tied";
    case Verdict::Kind::kPassedOver: return "passed_over";
    case Verdict::Kind::kNotRecorded: return "not_recorded";
    case Verdict::Kind::kNotThere: return "not_there";
  }
  return "unknown";
}

WhyNot why_not(const RequestRecord& record, std::string_view asked, std::span<const std::string> pool_names) {
  WhyNot answer;
  resolve(known_names(record, pool_names), asked, answer);
  if (answer.endpoint.empty()) return answer;
  for (const ProfileExplanation& profile : record.explanation.profiles)
    answer.verdicts.push_back(judge(profile, answer.endpoint));
  return answer;
}

}  // namespace llmd::routing
