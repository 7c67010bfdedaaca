#include "apps/explain/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace llmd::explain {
namespace {

using Json = nlohmann::json;

std::string text(const Json& object, const char* name) { return object.at(name).get<std::string>(); }

void add_candidate(std::string& out, const Json& candidate, std::string_view chosen) {
  const std::string name = text(candidate, "endpoint");
  out += fmt::format("    {} {:<32} {:.3f}", name == chosen ? "->" : "  ", name, candidate.at("total").get<double>());
  for (const Json& part : candidate.at("parts")) {
    out += fmt::format("  {} {:.3f} x {:.3g}", text(part, "scorer"), part.at("score").get<double>(),
                       part.at("weight").get<double>());
    if (part.contains("metric_missing")) out += " (no fresh metric)";
    if (part.contains("metric_age_ms"))
      out += fmt::format(" ({} ms old)", part.at("metric_age_ms").get<std::int64_t>());
  }
  out += '\n';
}

void add_profile(std::string& out, const Json& profile) {
  const std::string chosen = text(profile, "chosen");
  out += fmt::format("profile {}: {}", text(profile, "profile"), chosen.empty() ? "nothing left to choose" : chosen);
  out += fmt::format(" (picker {}", text(profile, "picker"));
  if (profile.contains("arm")) out += fmt::format(", weights of arm {}", text(profile, "arm"));
  out += ")\n";
  for (const Json& candidate : profile.at("candidates")) add_candidate(out, candidate, chosen);
  for (const Json& gone : profile.at("filtered")) {
    out += fmt::format("     x {:<32} {}: {}\n", text(gone, "endpoint"), text(gone, "filter"), text(gone, "reason"));
  }
}

void add_prefill(std::string& out, const Json& outcome) {
  const std::string endpoint = text(outcome, "prefill_endpoint");
  if (endpoint.empty()) return;
  const auto recomputed = outcome.at("kv_recomputed_tokens").get<std::uint64_t>();
  if (const std::string error = outcome.value("prefill_error", ""); !error.empty()) {
    out += fmt::format("prefill by {} failed: {}; {} tokens computed by {} instead\n", endpoint, error, recomputed,
                       text(outcome, "endpoint"));
  } else if (endpoint == text(outcome, "endpoint")) {
    out += fmt::format("prefill by {}: it found the request wrong, so no other leg was sent\n", endpoint);
  } else {
    out += fmt::format("prefill by {}: {} blocks, {} bytes moved, {} tokens recomputed\n", endpoint,
                       outcome.at("kv_blocks").get<std::uint64_t>(), outcome.at("kv_bytes").get<std::uint64_t>(),
                       recomputed);
  }
}

void add_outcome(std::string& out, const Json& outcome) {
  if (outcome.is_null()) {
    out += "outcome: still running\n";
    return;
  }
  out += fmt::format("outcome: {} from {}, first byte after {:.1f} ms, all after {:.1f} ms",
                     outcome.at("status").get<int>(), text(outcome, "endpoint"), outcome.at("ttft_ms").get<double>(),
                     outcome.at("total_ms").get<double>());
  if (outcome.at("retries").get<int>() > 0) out += fmt::format(", {} retries", outcome.at("retries").get<int>());
  if (outcome.at("cancelled").get<bool>()) out += ", the client left";
  if (outcome.at("endpoint_failed").get<bool>()) out += ", the endpoint failed";
  out += fmt::format("\ntokens: {} prompt, {} of them cached, {} generated\n",
                     outcome.at("prompt_tokens").get<std::uint64_t>(), outcome.at("cached_tokens").get<std::uint64_t>(),
                     outcome.at("completion_tokens").get<std::uint64_t>());
  add_prefill(out, outcome);
}

/// Why the gateway sent it nowhere.
void add_refusal(std::string& out, const Json& refusal) {
  out += fmt::format("refused with {} {}: {}", refusal.at("status").get<int>(), text(refusal, "code"),
                     text(refusal, "message"));
  if (const std::string hint = text(refusal, "hint"); !hint.empty()) out += fmt::format(" ({})", hint);
  out += '\n';
}

void add_facts(std::string& out, const Json& record) {
  const bool exact = record.at("prompt_tokens_exact").get<bool>();
  out += fmt::format("{}{} prompt tokens, {} of them expected to be cached in blocks of {}; snapshot {}, {} ms old\n",
                     exact ? "" : "about ", record.at("prompt_tokens").get<std::uint64_t>(),
                     record.at("cached_tokens_expected").get<std::uint64_t>(),
                     record.at("block_tokens").get<std::uint64_t>(), record.at("snapshot_version").get<std::uint64_t>(),
                     record.at("snapshot_age_ms").get<std::int64_t>());
}

}  // namespace

Result<std::string> report(std::string_view json) {
  try {
    const Json record = Json::parse(json);
    const std::string chosen = text(record, "chosen");
    const bool refused = record.contains("refusal");
    std::string out = fmt::format("request {}: ", text(record, "request_id"));
    if (refused) {
      add_refusal(out, record.at("refusal"));
      if (record.at("profiles").empty()) return out;  // before any decision
    } else {
      out += chosen.empty() ? "no endpoint" : "to " + chosen;
      if (const std::string prefill = text(record, "prefill"); !prefill.empty()) out += ", prefill by " + prefill;
      out += '\n';
    }
    add_facts(out, record);
    for (const Json& profile : record.at("profiles")) add_profile(out, profile);
    if (record.contains("pd")) {
      const Json& pd = record.at("pd");
      out += fmt::format("prefill or not: {} ({} against {})\n", text(pd, "rule"),
                         pd.at("observed").get<std::uint64_t>(), pd.at("limit").get<std::uint64_t>());
    }
    if (!refused) add_outcome(out, record.at("outcome"));
    return out;
  } catch (const Json::exception& error) {
    return fail(ErrorCode::kProtocol,
                fmt::format("the answer of the admin socket is not an explanation: {}", error.what()));
  }
}

}  // namespace llmd::explain
