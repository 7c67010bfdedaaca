#include "admin/explanation_json.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "routing/why_not.h"

namespace llmd::admin {
namespace {

using Json = nlohmann::ordered_json;
using routing::ScorerGap;
using routing::Verdict;

double rounded(double value) { return std::round(value * 1'000) / 1'000; }
double rounded(float value) { return rounded(static_cast<double>(value)); }

/// Invalid UTF-8 (a name or a reason may be anything) is replaced, so that dumping cannot fail.
std::string dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

std::string name_or_empty(const std::shared_ptr<const Endpoint>& endpoint) {
  return endpoint == nullptr ? "" : endpoint->name;
}

Json predicted_json(const std::optional<PredictedLatency>& predicted) {
  if (!predicted) return nullptr;
  Json json{{"ttft_ms", rounded(predicted->ttft_ms)}, {"ttft_deviation_ms", rounded(predicted->ttft_deviation_ms)}};
  if (predicted->tpot_ms > 0) {
    json["tpot_ms"] = rounded(predicted->tpot_ms);
    json["tpot_deviation_ms"] = rounded(predicted->tpot_deviation_ms);
  }
  return json;
}

void add_metric(Json& json, const ScorePart& part, const std::string& prefix = "") {
  if (part.metric_missing) json[prefix + "metric_missing"] = true;
  if (part.metric_age_ms >= 0) json[prefix + "metric_age_ms"] = part.metric_age_ms;
}

Json candidate_json(const ProfileExplanation& profile, std::size_t candidate) {
  Json parts = Json::array();
  for (std::size_t s = 0; s < profile.scorers.size(); ++s) {
    const ScorePart& part = profile.parts_of(candidate)[s];
    const float weight = profile.scorers[s].weight;
    Json item{{"scorer", profile.scorers[s].name},
              {"score", rounded(part.score)},
              {"weight", rounded(weight)},
              {"weighted", rounded(part.score * weight)}};
    add_metric(item, part);
    parts.push_back(std::move(item));
  }
  const CandidateScore& told = profile.candidates[candidate];
  return {{"endpoint", told.endpoint->name},
          {"total", rounded(told.total)},
          {"predicted", predicted_json(told.predicted)},
          {"parts", std::move(parts)}};
}

/// The runner-up, and which scorers set it apart from the chosen one.
Json runner_up_json(const ProfileExplanation& profile) {
  float chosen_total = 0;
  std::size_t runner_up = profile.candidates.size();
  for (std::size_t c = 0; c < profile.candidates.size(); ++c) {
    if (profile.candidates[c].endpoint->name == profile.chosen) chosen_total = profile.candidates[c].total;
    if (profile.candidates[c].endpoint->name == profile.runner_up) runner_up = c;
  }
  if (runner_up == profile.candidates.size()) return nullptr;
  Json because = Json::array();
  for (const ScorerGap& gap : routing::score_gaps(profile, runner_up)) {
    if (const double difference = rounded(gap.difference); difference != 0)
      because.push_back({{"scorer", gap.scorer}, {"difference", difference}});
  }
  return {{"endpoint", profile.runner_up},
          {"behind", rounded(chosen_total - profile.candidates[runner_up].total)},
          {"because", std::move(because)}};
}

Json profile_json(const ProfileExplanation& profile) {
  Json filtered = Json::array();
  for (const FilteredOut& out : profile.filtered)
    filtered.push_back({{"endpoint", out.endpoint->name}, {"filter", out.filter}, {"reason", out.reason}});
  Json candidates = Json::array();
  for (std::size_t c = 0; c < profile.candidates.size(); ++c) candidates.push_back(candidate_json(profile, c));
  Json others = Json::array();
  for (const OtherChoice& other : profile.others) {
    others.push_back(
        {{"policy", other.policy}, {"endpoint", other.endpoint->name}, {"predicted", predicted_json(other.predicted)}});
  }
  Json json{{"profile", profile.profile},
            {"chosen", profile.chosen},
            {"picker", profile.picker},
            {"runner_up", runner_up_json(profile)},
            {"others", std::move(others)},
            {"candidates_total", profile.candidates_total},
            {"candidates", std::move(candidates)},
            {"filtered_total", profile.filtered_total},
            {"filtered", std::move(filtered)}};
  if (!profile.arm.empty()) json["arm"] = profile.arm;
  return json;
}

Json outcome_json(const Outcome& outcome) {
  Json tpot_ms = nullptr;
  if (outcome.streamed > Duration::zero() && outcome.completion_tokens > 1)
    tpot_ms = rounded(to_milliseconds(outcome.streamed) / (outcome.completion_tokens - 1));
  return {{"status", outcome.status},
          {"endpoint", outcome.endpoint},
          {"prefill_endpoint", outcome.prefill_endpoint},
          {"prefill_error", outcome.prefill_error},
          {"endpoint_failed", outcome.endpoint_failed},
          {"cancelled", outcome.cancelled},
          {"retries", outcome.retries},
          {"ttft_ms", rounded(to_milliseconds(outcome.ttft))},
          {"tpot_ms", std::move(tpot_ms)},
          {"total_ms", rounded(to_milliseconds(outcome.total))},
          {"prompt_tokens", outcome.prompt_tokens},
          {"cached_tokens", outcome.cached_tokens},
          {"completion_tokens", outcome.completion_tokens},
          {"kv_blocks", outcome.kv_blocks},
          {"kv_bytes", outcome.kv_bytes},
          {"kv_recomputed_tokens", outcome.kv_recomputed_tokens}};
}

/// How much of the decision was written down.
std::string_view detail(const Explanation& why) {
  if (why.profiles.empty() && why.refused_by.empty()) return "none";
  return why.brief ? "brief" : "full";
}

Json verdict_json(const Verdict& verdict) {
  Json json{{"profile", verdict.profile->profile},
            {"verdict", routing::verdict_name(verdict.kind)},
            {"chosen", verdict.profile->chosen},
            {"picker", verdict.profile->picker}};
  if (verdict.filtered != nullptr) {
    json["filter"] = verdict.filtered->filter;
    json["reason"] = verdict.filtered->reason;
  }
  if (verdict.own == nullptr || verdict.chosen == nullptr) return json;
  json["total"] = rounded(verdict.own->total);
  json["chosen_total"] = rounded(verdict.chosen->total);
  Json scorers = Json::array();
  for (const ScorerGap& gap : verdict.gaps) {
    Json item{{"scorer", gap.scorer},
              {"weight", rounded(gap.weight)},
              {"score", rounded(gap.own.score)},
              {"chosen_score", rounded(gap.chosen.score)},
              {"difference", rounded(gap.difference)}};
    add_metric(item, gap.own);
    add_metric(item, gap.chosen, "chosen_");
    scorers.push_back(std::move(item));
  }
  json["scorers"] = std::move(scorers);
  json["predicted"] = predicted_json(verdict.own->predicted);
  json["chosen_predicted"] = predicted_json(verdict.chosen->predicted);
  return json;
}

}  // namespace

std::string record_json(const routing::RequestRecord& record) {
  const Explanation& why = record.explanation;
  Json profiles = Json::array();
  for (const ProfileExplanation& profile : why.profiles) profiles.push_back(profile_json(profile));
  Json json{{"request_id", why.request_id},
            {"detail", detail(why)},
            {"chosen", name_or_empty(record.chosen)},
            {"prefill", name_or_empty(record.prefill)},
            {"prompt_tokens", why.prompt_tokens},
            {"prompt_tokens_exact", why.prompt_tokens_exact},
            {"cached_tokens_expected", why.cached_tokens_expected},
            {"block_tokens", why.block_tokens},
            {"snapshot_version", why.snapshot_version},
            {"snapshot_age_ms", why.snapshot_age_ms},
            {"predicted", predicted_json(why.predicted)},
            {"profiles", std::move(profiles)}};
  if (!record.pool.empty()) {
    json["pool"] = record.pool;
    json["route"] = record.route;
  }
  if (!why.pd_rule.empty())
    json["pd"] = {{"rule", why.pd_rule}, {"observed", why.pd_observed}, {"limit", why.pd_limit}};
  if (record.refusal) {
    json["refusal"] = {{"status", http_status(record.refusal->code)},
                       {"code", error_code_name(record.refusal->code)},
                       {"message", record.refusal->what},
                       {"hint", record.refusal->hint}};
  }
  json["outcome"] = record.outcome ? outcome_json(*record.outcome) : Json(nullptr);
  return dump(json);
}

std::string why_not_json(const routing::RequestRecord& record, std::string_view asked,
                         std::span<const std::string> pool_names) {
  const routing::WhyNot answer = routing::why_not(record, asked, pool_names);
  Json profiles = Json::array();
  for (const Verdict& verdict : answer.verdicts) profiles.push_back(verdict_json(verdict));
  return dump({{"request_id", record.explanation.request_id},
               {"detail", detail(record.explanation)},
               {"asked", asked},
               {"endpoint", answer.endpoint.empty() ? Json(nullptr) : Json(answer.endpoint)},
               {"meant", answer.meant},
               {"hint", answer.hint},
               {"profiles", std::move(profiles)}});
}

}  // namespace llmd::admin
