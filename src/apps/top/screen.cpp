#include "apps/top/screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace llmd::top {
namespace {

using Json = nlohmann::json;

double number(const Json& object, const char* name) {
  const Json& value = object.at(name);
  return value.is_number() ? value.get<double>() : 0;
}

std::optional<double> reading(const Json& object, const char* name) {
  const Json& value = object.at(name);
  if (!value.is_object()) return std::nullopt;
  return value.at("value").get<double>();
}

std::string or_dash(const std::optional<double>& value, double factor = 1) {
  return value ? fmt::format("{:.0f}", *value * factor) : "-";
}

/// Growth a second; a counter that went back belongs to a new process.
double rate(double now, double before, std::chrono::duration<double> between) {
  return between.count() > 0 ? std::max(0.0, now - before) / between.count() : 0;
}

std::string hit_rate(double hits, double queries) {
  return queries > 0 ? fmt::format("{:.0f}%", 100 * hits / queries) : "-";
}

const Sample::Row* find(const Sample* sample, const std::string& name) {
  if (sample == nullptr) return nullptr;
  for (const Sample::Row& row : sample->rows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

}  // namespace

Result<Sample> read_sample(std::string_view summary_json, std::string_view endpoints_json) {
  try {
    const Json summary = Json::parse(summary_json);
    const Json endpoints = Json::parse(endpoints_json);
    Sample sample;
    sample.listen = summary.at("listen").get<std::string>();
    sample.in_flight = summary.at("requests_in_flight").get<std::uint64_t>();
    sample.requests = number(summary, "requests");
    sample.prompt_tokens = number(summary, "prompt_tokens");
    sample.completion_tokens = number(summary, "completion_tokens");
    for (const Json& item : endpoints.at("endpoints")) {
      const std::string pool = item.value("pool", std::string{});
      sample.rows.push_back({.name = (pool.empty() ? pool : pool + ": ") + item.at("name").get<std::string>(),
                             .health = item.at("health").get<std::string>(),
                             .inflight = item.at("inflight_requests").get<std::uint64_t>(),
                             .running = reading(item, "running_requests"),
                             .waiting = reading(item, "waiting_requests"),
                             .kv_usage = reading(item, "kv_usage"),
                             .generation_tokens = number(item, "generation_tokens"),
                             .prefix_query_tokens = number(item, "prefix_query_tokens"),
                             .prefix_hit_tokens = number(item, "prefix_hit_tokens")});
    }
    return sample;
  } catch (const Json::exception& error) {
    return fail(ErrorCode::kProtocol, fmt::format("the answer is not that of an admin socket: {}", error.what()));
  }
}

std::string render(const Sample& now, const Sample* before, std::chrono::duration<double> between) {
  std::string out = fmt::format("llmd at {}: {} in flight, {:.0f} requests", now.listen, now.in_flight, now.requests);
  if (before != nullptr) {
    out += fmt::format(", {:.1f} requests/s, {:.0f} prompt and {:.0f} generated tokens/s",
                       rate(now.requests, before->requests, between),
                       rate(now.prompt_tokens, before->prompt_tokens, between),
                       rate(now.completion_tokens, before->completion_tokens, between));
  }
  out += fmt::format("\n{:<32} {:<9} {:>8} {:>8} {:>8} {:>5} {:>8} {:>6}\n", "ENDPOINT", "HEALTH", "INFLIGHT",
                     "RUNNING", "WAITING", "KV %", "TOKENS/S", "HITS");
  for (const Sample::Row& row : now.rows) {
    const Sample::Row* earlier = find(before, row.name);
    const std::string tokens =
        earlier != nullptr ? fmt::format("{:.0f}", rate(row.generation_tokens, earlier->generation_tokens, between))
                           : "-";
    out += fmt::format("{:<32} {:<9} {:>8} {:>8} {:>8} {:>5} {:>8} {:>6}\n", row.name.substr(0, 32), row.health,
                       row.inflight, or_dash(row.running), or_dash(row.waiting), or_dash(row.kv_usage, 100), tokens,
                       hit_rate(row.prefix_hit_tokens, row.prefix_query_tokens));
  }
  return out;
}

}  // namespace llmd::top
