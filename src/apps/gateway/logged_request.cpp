#include "apps/gateway/logged_request.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <span>

#include "api/openai/json_writer.h"
#include "base/error.h"

namespace llmd::gateway {
namespace {

// As in Mooncake's traces, whose readers this log is for, too.
constexpr std::uint32_t kCoarseBlockTokens = 512;
constexpr std::uint32_t kTokensMax = 8'192 * kCoarseBlockTokens;
constexpr std::uint64_t kIdMask = (1ULL << 53) - 1;  // what every reader of JSON keeps exactly

// A ratio is taken from prompts that are long enough to tell: a template's own words spoil that of a short one.
constexpr std::uint32_t kTellingTokens = 256;
constexpr double kRatioMin = 1.0 / 8;  // beyond, it tells of a picture or the like, not of the model's tokens
constexpr double kRatioMax = 8;
constexpr double kRatioAlike = 1.5;
constexpr std::uint32_t kVotesMax = 8;
constexpr std::size_t kModelsMax = 256;
constexpr std::size_t kNameBytesMax = 1'024;  // six times as many with escapes, which simulation/recorded_row takes

std::string_view as_text(const std::uint64_t& value) noexcept {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

float milliseconds_of(Duration duration) {
  return static_cast<float>(std::max(0.0, std::round(to_milliseconds(duration) * 100) / 100));
}

void append_text(openai::JsonWriter& json, std::string_view key, std::string_view text) {
  json.key(key).string(text.substr(0, kNameBytesMax));
}

void append_count(openai::JsonWriter& json, std::string_view key, std::uint32_t count) {
  json.key(key).integer(std::min(count, kTokensMax));
}

void append_objective(openai::JsonWriter& json, std::string_view key, std::optional<float> milliseconds) {
  if (milliseconds) json.key(key).number(std::min(*milliseconds, 1e9F));
}

}  // namespace

std::size_t bytes_of(const LoggedRequest& request) noexcept {
  const RequestFacts& facts = request.facts;
  const Outcome& outcome = request.outcome;
  std::size_t bytes = sizeof request + facts.prefix.hashes.size() * sizeof(std::uint64_t) +
                      facts.media.size() * sizeof(MediaItem) + facts.headers.size() * sizeof(Header);
  for (const auto& [name, value] : facts.headers) bytes += name.size() + value.size();
  for (const std::string* text :
       {&facts.request_id, &facts.model, &request.session, &request.fairness, &outcome.request_id, &outcome.endpoint,
        &outcome.prefill_endpoint, &outcome.prefill_error}) {
    bytes += text->size();
  }
  return bytes;
}

std::uint64_t LogLines::id_of(std::string_view kind, std::string_view value) const {
  Sha256 hash;
  hash.update(std::as_bytes(std::span{salt_}));
  hash.update(kind);
  hash.update(value);
  const Digest256 digest = hash.finish();
  std::uint64_t id = 0;
  std::memcpy(&id, digest.data(), sizeof id);
  id &= kIdMask;
  return id == 0 ? 1 : id;
}

/// One ratio a model, so that equal beginnings stay equal whatever follows them: that of the majority of prompts, so
/// that none that is unlike the others has it for long.
double LogLines::tokens_per_token(const RequestFacts& facts, std::uint32_t input_tokens) {
  const double ratio = static_cast<double>(facts.prompt_tokens) / input_tokens;
  const bool sound = ratio >= kRatioMin && ratio <= kRatioMax;
  const bool tells = sound && input_tokens >= kTellingTokens;
  const auto found = ratios_.find(facts.model);
  if (found == ratios_.end()) {
    if (tells && ratios_.size() < kModelsMax) ratios_.emplace(facts.model, Ratio{.value = ratio, .votes = 1});
    return sound ? ratio : 1;
  }
  Ratio& known = found->second;
  if (tells) {
    const bool alike = ratio <= known.value * kRatioAlike && known.value <= ratio * kRatioAlike;
    known.votes = alike ? std::min(known.votes + 1, kVotesMax) : known.votes - 1;
    if (known.votes == 0) known = {.value = ratio, .votes = 1};
  }
  return known.value;
}

/// The chain is over the gateway's tokens, which may be an estimate; the log counts the engine's.
LogLines::Chain LogLines::chain_of(const LoggedRequest& request, std::uint32_t input_tokens) {
  const RequestFacts& facts = request.facts;
  Chain chain{.key = facts.prefix};
  const double covered = static_cast<double>(facts.prefix.hashes.size()) * facts.prefix.block_tokens;
  chain.known_tokens = facts.prefix.whole_blocks ? covered : std::min<double>(covered, facts.prompt_tokens);
  if (facts.prompt_tokens > 0 && !facts.prompt_tokens_exact && request.outcome.prompt_tokens > 0)
    chain.tokens_per_token = tokens_per_token(facts, input_tokens);
  return chain;
}

/// The id of all tokens up to this one. Beyond what the chain covers nobody knows whether others share it: a name of
/// its own.
std::uint64_t LogLines::block_id(const Chain& chain, std::uint64_t end_tokens) {
  const double end = static_cast<double>(end_tokens) * chain.tokens_per_token;
  if (chain.key.hashes.empty() || end > chain.known_tokens) {
    const std::uint64_t place[] = {lines_, end_tokens};
    return id_of("own", {reinterpret_cast<const char*>(place), sizeof place});
  }
  const auto index = static_cast<std::size_t>(std::max(1.0, std::round(end / chain.key.block_tokens))) - 1;
  return id_of("block", as_text(chain.key.hashes[std::min(index, chain.key.hashes.size() - 1)]));
}

void LogLines::append(const LoggedRequest& request, std::string& out) {
  ++lines_;
  const RequestFacts& facts = request.facts;
  const Outcome& outcome = request.outcome;
  const std::uint32_t told = outcome.prompt_tokens > 0 ? outcome.prompt_tokens : facts.prompt_tokens;
  const std::uint32_t input = std::clamp(told, 1U, kTokensMax);
  const Chain chain = chain_of(request, input);
  const std::uint32_t block_tokens = std::clamp(facts.prefix.block_tokens, 1U, 4'096U);
  const auto since = std::chrono::duration_cast<milliseconds>(std::max(request.arrived - began_, Duration::zero()));
  openai::JsonWriter json{out};
  json.begin_object().key("timestamp").integer(since.count());
  json.key("input_length").integer(input);
  json.key("output_length").integer(std::clamp(outcome.completion_tokens, 1U, kTokensMax));
  json.key("hash_ids").begin_array();
  for (std::uint32_t end = 0; end < input;) {
    end += std::min(kCoarseBlockTokens, input - end);
    json.integer(static_cast<std::int64_t>(block_id(chain, end)));
  }
  json.end_array().key("block_tokens").integer(block_tokens).key("block_ids").begin_array();
  for (std::uint32_t end = block_tokens; end <= input; end += block_tokens)
    json.integer(static_cast<std::int64_t>(block_id(chain, end)));
  json.end_array();
  append_text(json, "model", facts.model);
  append_text(json, "counted", facts.prompt_tokens_exact || outcome.prompt_tokens > 0 ? "exact" : "estimated");
  if (!request.session.empty())
    json.key("session").integer(static_cast<std::int64_t>(id_of("session", request.session)));
  if (!request.fairness.empty())
    json.key("fairness").integer(static_cast<std::int64_t>(id_of("fairness", request.fairness)));
  json.key("priority").integer(facts.priority);
  if (facts.output_tokens_max > 0) append_count(json, "max_tokens", facts.output_tokens_max);
  append_objective(json, "slo_ttft_ms", facts.slo_ttft_ms);
  append_objective(json, "slo_tpot_ms", facts.slo_tpot_ms);
  if (!outcome.endpoint.empty()) append_text(json, "endpoint", outcome.endpoint);
  if (!outcome.prefill_endpoint.empty()) append_text(json, "prefill_endpoint", outcome.prefill_endpoint);
  json.key("status").integer(outcome.cancelled ? http_status(ErrorCode::kCancelled) : outcome.status);
  append_count(json, "retries", outcome.retries);
  json.key("ttft_ms").number(milliseconds_of(outcome.ttft)).key("e2e_ms").number(milliseconds_of(outcome.total));
  append_count(json, "cached_tokens", outcome.cached_tokens);
  json.end_object();
  out += '\n';
}

}  // namespace llmd::gateway
