#include "api/openai/routing_fields.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "api/openai/json_writer.h"
#include "api/openai/prompt_tokens.h"
#include "api/requests/body_reader.h"

namespace llmd::openai {
namespace {

using api::FieldUse;

constexpr std::array<std::string_view, 4> kSteeringNames{"kv_transfer_params", "ec_transfer_params",
                                                         "data_parallel_rank", "cache_hit_threshold"};
constexpr std::array<std::string_view, 3> kSteeringPrefixes{"bootstrap_", "disagg_", "llmd_"};
constexpr std::string_view kUsageOptions = R"({"include_usage":true})";

/// Whatever path of OpenAI's or vLLM's the gateway serves.
constexpr api::FieldMeaning kAnyField[] = {
    {"model", FieldUse::kModel},
    {"messages", FieldUse::kPrompt},
    {"prompt", FieldUse::kPrompt},
    {"input", FieldUse::kPrompt},
    {"tools", FieldUse::kTools},
    {"max_tokens", FieldUse::kOutputTokens},
    {"max_completion_tokens", FieldUse::kOutputTokens},
    {"priority", FieldUse::kPriority},
    {"stream", FieldUse::kStream},
    {"stream_options", FieldUse::kStreamOptions},
    {"cache_salt", FieldUse::kCacheSalt},
    {"vllm_xargs", FieldUse::kExtraArguments},
    {"sampling_params", FieldUse::kSampling},
};

bool lies_in(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

void append_without_cuts(std::string& out, std::string_view text, std::span<const PromptCut> cuts) {
  for (const PromptCut& cut : cuts) {
    if (!lies_in(cut.text, text)) continue;
    const auto before = static_cast<std::size_t>(cut.text.data() - text.data());
    out += text.substr(0, before);
    text.remove_prefix(before + cut.text.size());
    if (cut.tokens == 0) continue;
    constexpr std::size_t kTokenBytes = 4;
    out.append((kTokenBytes - out.size() % kTokenBytes) % kTokenBytes, '\0');
    std::array<char, kTokenBytes> token{};
    std::memcpy(token.data(), &cut.hash, kTokenBytes);
    for (std::uint32_t i = 0; i < cut.tokens; ++i) out.append(token.data(), kTokenBytes);
  }
  out += text;
}

}  // namespace

bool is_steering_field(std::string_view name) noexcept {
  const auto begins = [name](std::string_view prefix) { return name.starts_with(prefix); };
  return std::ranges::find(kSteeringNames, name) != kSteeringNames.end() ||
         std::ranges::any_of(kSteeringPrefixes, begins);
}

bool may_steer(std::string_view body) noexcept {
  // Blanks, byte order marks and the zero bytes of wider encodings may stand before an object.
  constexpr std::string_view kBefore{" \t\r\n\0\xef\xbb\xbf\xfe\xff", 10};
  const std::size_t first = body.find_first_not_of(kBefore);
  if (first == std::string_view::npos || body[first] != '{') return false;
  const auto has = [body](std::string_view text) { return body.find(text) != std::string_view::npos; };
  return has({"\0", 1}) || has("\\u") || std::ranges::any_of(kSteeringNames, has) ||
         std::ranges::any_of(kSteeringPrefixes, has);
}

Result<std::string> without_steering(std::string& body) {
  static constexpr api::FieldMeaning kFields[] = {{"vllm_xargs", FieldUse::kExtraArguments},
                                                  {"sampling_params", FieldUse::kSampling}};
  const api::BodyForm form{.fields = kFields, .keeps_cache_threshold = true};
  LLMD_TRY(const api::BodyReading reading, api::read_body(body, {0, body.size()}, form, {}));
  return rewrite_body(body, reading.fields, {}).value_or(body);
}

Result<RoutingFields> read_routing_fields(std::string& body) {
  const api::BodyForm form{.fields = kAnyField};
  LLMD_TRY(api::BodyReading reading, api::read_body(body, {0, body.size()}, form, {}));
  return std::move(reading.fields);
}

std::string_view prompt_text(const RoutingFields& fields, std::string& scratch) {
  if (fields.tools.empty() && fields.system.empty() && fields.cuts.empty()) return fields.prompt;
  scratch.clear();
  append_without_cuts(scratch, fields.tools, fields.cuts);
  append_without_cuts(scratch, fields.system, fields.cuts);
  append_without_cuts(scratch, fields.prompt, fields.cuts);
  return scratch;
}

std::vector<TextEdit> edits_of(const RoutingFields& fields, const BodyChanges& changes, std::string& scratch) {
  scratch.clear();
  JsonWriter added{scratch};  // fields to add, each with its comma
  if (!changes.prompt_tokens.empty()) added.key(kPromptTokensField).string(changes.prompt_tokens);
  if (changes.model && !fields.model_value) added.key("model").string(*changes.model);
  if (changes.ask_for_usage && !fields.has_stream_options) added.key("stream_options").raw(kUsageOptions);
  if (!scratch.empty() && fields.has_fields) scratch += ',';
  const std::size_t front = scratch.size();
  if (changes.model && fields.model_value) append_json_string(scratch, *changes.model);
  const std::string_view text = scratch;  // now that it moves no more
  std::vector<TextEdit> edits;
  if (front > 0) edits.push_back({.range = {fields.object_begin, fields.object_begin}, .text = text.substr(0, front)});
  if (changes.model && fields.model_value) edits.push_back({.range = *fields.model_value, .text = text.substr(front)});
  if (changes.ask_for_usage && fields.usage_edit) edits.push_back(*fields.usage_edit);
  for (const ByteRange& range : fields.steering) edits.push_back({.range = range, .text = {}});
  // What is added comes first, also where a field to be cut begins at the same place.
  std::sort(edits.begin(), edits.end(), [](const TextEdit& a, const TextEdit& b) {
    return a.range.begin != b.range.begin ? a.range.begin < b.range.begin : a.range.end < b.range.end;
  });
  return edits;
}

std::string apply_text_edits(std::string_view body, std::span<const TextEdit> edits) {
  std::size_t size = body.size();
  for (const TextEdit& edit : edits) size += edit.text.size();
  std::string out;
  out.reserve(size);
  std::size_t at = 0;
  for (const TextEdit& edit : edits) {
    out.append(body.substr(at, edit.range.begin - at)).append(edit.text);
    at = edit.range.end;
  }
  out += body.substr(at);
  return out;
}

std::optional<std::string> rewrite_body(std::string_view body, const RoutingFields& fields,
                                        const BodyChanges& changes) {
  std::string scratch;
  const std::vector<TextEdit> edits = edits_of(fields, changes, scratch);
  if (edits.empty()) return std::nullopt;
  return apply_text_edits(body, edits);
}

}  // namespace llmd::openai
