#include "admin/admin_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace llmd::admin {
namespace {

using Json = nlohmann::ordered_json;

double rounded(float value) { return std::round(static_cast<double>(value) * 1'000) / 1'000; }

/// Invalid UTF-8 (an engine may report anything) is replaced, so that dumping cannot fail.
std::string dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

Json candidate_json(const CandidateScore& candidate) {
  Json parts = Json::array();
  for (const ScorePart& part : candidate.parts) {
    Json item{{"scorer", part.scorer}, {"score", rounded(part.score)}, {"weight", rounded(part.weight)}};
    if (part.metric_missing) item["metric_missing"] = true;
    if (part.metric_age_ms >= 0) item["metric_age_ms"] = part.metric_age_ms;
    parts.push_back(std::move(item));
  }
  return {{"endpoint", candidate.endpoint}, {"total", rounded(candidate.total)}, {"parts", std::move(parts)}};
}

Json profile_json(const ProfileExplanation& profile) {
  Json filtered = Json::array();
  for (const FilteredOut& out : profile.filtered) {
    filtered.push_back({{"endpoint", out.endpoint}, {"filter", out.filter}, {"reason", out.reason}});
  }
  Json candidates = Json::array();
  for (const CandidateScore& candidate : profile.candidates) candidates.push_back(candidate_json(candidate));
  Json json{{"profile", profile.profile},
            {"chosen", profile.chosen},
            {"picker", profile.picker},
            {"candidates", std::move(candidates)},
            {"filtered", std::move(filtered)}};
  if (!profile.arm.empty()) json["arm"] = profile.arm;
  return json;
}

Json outcome_json(const Outcome& outcome) {
  return {{"status", outcome.status},
          {"endpoint", outcome.endpoint},
          {"prefill_endpoint", outcome.prefill_endpoint},
          {"prefill_error", outcome.prefill_error},
          {"endpoint_failed", outcome.endpoint_failed},
          {"cancelled", outcome.cancelled},
          {"retries", outcome.retries},
          {"ttft_ms", rounded(static_cast<float>(to_milliseconds(outcome.ttft)))},
          {"total_ms", rounded(static_cast<float>(to_milliseconds(outcome.total)))},
          {"prompt_tokens", outcome.prompt_tokens},
          {"cached_tokens", outcome.cached_tokens},
          {"completion_tokens", outcome.completion_tokens},
          {"kv_blocks", outcome.kv_blocks},
          {"kv_bytes", outcome.kv_bytes},
          {"kv_recomputed_tokens", outcome.kv_recomputed_tokens}};
}

template <class T>
Json reading_json(const Reading<T>& reading, TimePoint now) {
  if (!reading.value) return nullptr;
  return {{"value", *reading.value}, {"age_ms", std::chrono::duration_cast<milliseconds>(now - reading.at).count()}};
}

Json signals_json(const EndpointSignals* signals, TimePoint now) {
  Json json = Json::object();
  if (signals == nullptr) return json;
  for (std::size_t i = 0; i < kSignals; ++i) {
    const auto signal = static_cast<Signal>(i);
    if ((*signals)[signal].value) json[std::string{signal_name(signal)}] = reading_json((*signals)[signal], now);
  }
  for (const NamedReading& named : signals->named) json[named.name] = reading_json(named.reading, now);
  return json;
}

Json lora_json(const EndpointState& state) {
  if (!state.lora.value) return nullptr;
  const LoraState& lora = **state.lora.value;
  return {{"running", lora.running}, {"waiting", lora.waiting}, {"adapters_max", lora.adapters_max}};
}

Json number_or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json report_json(const pool::EndpointReport& report, TimePoint now) {
  const EndpointState& state = report.state;
  Json models = Json::array();
  for (const ServedModel& model : state.endpoint->models) models.push_back(model.id);
  return {{"name", state.endpoint->name},
          {"url", state.endpoint->url},
          {"health", health_name(state.health)},
          {"traffic_share", rounded(state.traffic.share)},
          {"traffic_share_reason", state.traffic.share < 1 ? describe(state.traffic) : std::string{}},
          {"reason", report.reason},
          {"models", std::move(models)},
          {"labels", state.endpoint->labels},
          {"inflight_requests", state.inflight_requests},
          {"inflight_tokens", state.inflight_tokens},
          {"waiting_requests", reading_json(state.waiting_requests, now)},
          {"running_requests", reading_json(state.running_requests, now)},
          {"kv_usage", reading_json(state.kv_usage, now)},
          {"kv_block_tokens", reading_json(state.kv_block_tokens, now)},
          {"kv_blocks", reading_json(state.kv_blocks, now)},
          {"lora", lora_json(state)},
          {"signals", signals_json(state.signals.get(), now)},
          {"prompt_tokens", number_or_null(report.readings.prompt_tokens)},
          {"generation_tokens", number_or_null(report.readings.generation_tokens)},
          {"prefix_query_tokens", number_or_null(report.readings.prefix_query_tokens)},
          {"prefix_hit_tokens", number_or_null(report.readings.prefix_hit_tokens)},
          {"probes", report.probes},
          {"probe_failures", report.probe_failures},
          {"error", report.error}};
}

}  // namespace

std::string record_json(const routing::RequestRecord& record) {
  const Explanation& why = record.explanation;
  Json profiles = Json::array();
  for (const ProfileExplanation& profile : why.profiles) profiles.push_back(profile_json(profile));
  Json json{{"request_id", why.request_id},
            {"chosen", record.chosen},
            {"prefill", record.prefill},
            {"prompt_tokens", why.prompt_tokens},
            {"prompt_tokens_exact", why.prompt_tokens_exact},
            {"cached_tokens_expected", why.cached_tokens_expected},
            {"block_tokens", why.block_tokens},
            {"snapshot_version", why.snapshot_version},
            {"snapshot_age_ms", why.snapshot_age_ms},
            {"profiles", std::move(profiles)}};
  if (!why.pd_rule.empty()) {
    json["pd"] = {{"rule", why.pd_rule}, {"observed", why.pd_observed}, {"limit", why.pd_limit}};
  }
  if (record.refusal) {
    json["refusal"] = {{"status", http_status(record.refusal->code)},
                       {"code", error_code_name(record.refusal->code)},
                       {"message", record.refusal->what},
                       {"hint", record.refusal->hint}};
  }
  json["outcome"] = record.outcome ? outcome_json(*record.outcome) : Json(nullptr);
  return dump(json);
}

std::string endpoints_json(std::span<const pool::EndpointReport> reports, TimePoint now) {
  Json list = Json::array();
  for (const pool::EndpointReport& report : reports) list.push_back(report_json(report, now));
  return dump({{"endpoints", std::move(list)}});
}

}  // namespace llmd::admin
