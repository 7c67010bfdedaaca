#include "admin/admin_json.h"

#include <nlohmann/json.hpp>

namespace llmd::admin {
namespace {

using Json = nlohmann::ordered_json;

/// Invalid UTF-8 (an engine may report anything) is replaced, so that dumping cannot fail.
std::string dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

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
  Json json{{"name", state.endpoint->name},
            {"url", state.endpoint->url},
            {"health", health_name(state.health)},
            {"traffic_share", static_cast<double>(state.traffic.share)},
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
            {"engine", report.engine},
            {"prompt_tokens", number_or_null(report.readings.prompt_tokens)},
            {"generation_tokens", number_or_null(report.readings.generation_tokens)},
            {"prefix_query_tokens", number_or_null(report.readings.prefix_query_tokens)},
            {"prefix_hit_tokens", number_or_null(report.readings.prefix_hit_tokens)},
            {"probes", report.probes},
            {"probe_failures", report.probe_failures},
            {"error", report.error}};
  if (!report.pool.empty()) json["pool"] = report.pool;
  return json;
}

}  // namespace

std::string endpoints_json(std::span<const pool::EndpointReport> reports, TimePoint now) {
  Json list = Json::array();
  for (const pool::EndpointReport& report : reports) list.push_back(report_json(report, now));
  return dump({{"endpoints", std::move(list)}});
}

}  // namespace llmd::admin
