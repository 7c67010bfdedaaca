#include "apps/explain/report.h"

#include <fmt/format.h>

#include "apps/explain/report_parts.h"

namespace llmd::explain {
namespace {

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

/// What was predicted beside what was seen: "44.0 ms (+7 %)".
std::string seen_text(const Json& predicted, const Json& outcome, const char* name) {
  const bool both = predicted.contains(name) && outcome.at(name).is_number() && outcome.at(name).get<double>() > 0;
  if (!both) return "";
  const double said = predicted.at(name).get<double>();
  const double seen = outcome.at(name).get<double>();
  return fmt::format("{:.1f} ms ({:+.0f} %)", seen, said > 0 ? (seen / said - 1) * 100 : 0);
}

void add_prediction(std::string& out, const Json& record) {
  const Json& predicted = record.at("predicted");
  if (predicted.is_null()) return;
  out += fmt::format("predicted: {}", predicted_text(predicted));
  if (const Json& outcome = record.at("outcome"); !outcome.is_null()) {
    const std::string ttft = seen_text(predicted, outcome, "ttft_ms");
    const std::string tpot = seen_text(predicted, outcome, "tpot_ms");
    if (!ttft.empty()) out += fmt::format("; seen: {}{}{}", ttft, tpot.empty() ? "" : ", ", tpot);
  }
  out += '\n';
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

constexpr const char* kInBrief =
    "recorded in brief, as more requests came than --explain-rate allows to record in full;\n"
    "send it with the header x-llmd-explain: 1 to have all recorded next time\n";

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
    if (record.contains("pool"))
      out += fmt::format("given to pool {} by route {}\n", text(record, "pool"), text(record, "route"));
    add_facts(out, record);
    for (const Json& profile : record.at("profiles")) out += profile_text(profile);
    if (record.contains("pd")) {
      const Json& pd = record.at("pd");
      out += fmt::format("prefill or not: {} ({} against {})\n", text(pd, "rule"),
                         pd.at("observed").get<std::uint64_t>(), pd.at("limit").get<std::uint64_t>());
    }
    add_prediction(out, record);
    if (!refused) add_outcome(out, record.at("outcome"));
    if (text(record, "detail") == "brief") out += kInBrief;
    return out;
  } catch (const Json::exception& error) {
    return fail(ErrorCode::kProtocol,
                fmt::format("the answer of the admin socket is not an explanation: {}", error.what()));
  }
}

}  // namespace llmd::explain
