#include "api/openai/generation_fields.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <string>
#include <utility>

#include "api/openai/kv_transfer_fields.h"
#include "api/openai/limits.h"
#include "api/openai/prompt_tokens.h"
#include "api/openai/rule_table.h"
#include "api/openai/structured_output.h"

namespace llmd::openai {
namespace {

using Reader = GenerationReader;
using Rule = FieldRule<Reader>;

constexpr NumberRange kPenalty{.min = -2, .max = 2};
constexpr NumberRange kProbability{.min = 0, .max = 1};
constexpr NumberRange kPositiveProbability{.min = 0, .max = 1, .min_excluded = true};
constexpr NumberRange kTemperature{.min = 0, .max = 2};
constexpr NumberRange kRepetition{.min = 0, .max = 100, .min_excluded = true};

template <float SamplingParams::* member, NumberRange range>
Result<void> sampling_number(Reader& reader, std::string_view field, Element value) {
  return assign(reader.request().sampling.*member, read_number(field, value, range));
}

template <std::string GenerationRequest::* member>
Result<void> name_field(Reader& reader, std::string_view field, Element value) {
  return assign(reader.request().*member, read_string(field, value, kNameBytesMax));
}

template <Result<OutputConstraint> (*read)(std::string_view, Element)>
Result<void> constraint_field(Reader& reader, std::string_view field, Element value) {
  LLMD_TRY(OutputConstraint constraint, read(field, value));
  if (constraint.empty()) return {};
  ++reader.seen().constraints;
  reader.request().constraint = std::move(constraint);
  return {};
}

Result<void> unsupported_regex(Reader&, std::string_view field, Element) {
  return unsupported_field(field, fmt::format("{} is not supported", field),
                           "give guided_json, guided_grammar or guided_choice");
}

Result<void> read_seed(Reader& reader, std::string_view field, Element value) {
  std::uint64_t large = 0;
  if (value.is_uint64() && value.get(large) == simdjson::SUCCESS) {
    reader.request().sampling.seed = large;
    return {};
  }
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  LLMD_TRY(const std::int64_t seed, read_integer(field, value, {.min = kMin, .max = kMax}));
  reader.request().sampling.seed = static_cast<std::uint64_t>(seed);
  return {};
}

Result<void> read_stop(Reader& reader, std::string_view field, Element value) {
  std::vector<std::string> stop;
  std::string_view single;
  if (value.get(single) == simdjson::SUCCESS) {
    LLMD_TRY(single, read_string(field, value, kStopBytesMax));
    if (!single.empty()) stop.emplace_back(single);
    reader.request().stop = std::move(stop);
    return {};
  }
  Array list;
  if (value.get(list) != simdjson::SUCCESS) return bad_field(field, describe(value), "a string or an array of strings");
  if (list.size() > kStopStringsMax) {
    return bad_field(field, fmt::format("an array of {} strings", list.size()),
                     fmt::format("at most {} strings", kStopStringsMax));
  }
  for (const Element entry : list) {
    LLMD_TRY(const std::string_view text, read_string(fmt::format("{}[{}]", field, stop.size()), entry, kStopBytesMax));
    if (text.empty()) return bad_field(fmt::format("{}[{}]", field, stop.size()), "empty", "a string with text");
    stop.emplace_back(text);
  }
  reader.request().stop = std::move(stop);
  return {};
}

Result<void> read_logit_bias(Reader& reader, std::string_view field, Element value) {
  LLMD_TRY(const Object object, read_object(field, value));
  if (object.size() > kLogitBiasMax) {
    return bad_field(field, fmt::format("an object of {} entries", object.size()),
                     fmt::format("at most {} entries", kLogitBiasMax));
  }
  std::vector<std::pair<TokenId, float>> biases;
  for (const auto entry : object) {
    TokenId token = -1;
    const char* end = entry.key.data() + entry.key.size();
    const auto [rest, status] = std::from_chars(entry.key.data(), end, token);
    if (status != std::errc{} || rest != end || token < 0) {
      return bad_field(field, fmt::format("an object with the key {}", quote(entry.key)), "token ids as keys");
    }
    LLMD_TRY(const float bias,
             read_number(fmt::format("{}[{}]", field, token), entry.value, {.min = -100, .max = 100}));
    biases.emplace_back(token, bias);
  }
  reader.request().sampling.logit_bias = std::move(biases);
  return {};
}

template <std::optional<std::uint32_t> Reader::Seen::* member>
Result<void> output_limit(Reader& reader, std::string_view field, Element value) {
  return assign(reader.seen().*member,
                read_integer(field, value, {.min = reader.seen().max_tokens_min, .max = kOutputTokensMax}));
}

Result<void> read_stream_options(Reader& reader, std::string_view field, Element value) {
  LLMD_TRY(const Object object, read_object(field, value));
  reader.seen().stream_options = true;
  Element usage;
  if (object.at_key("include_usage").get(usage) != simdjson::SUCCESS || usage.is_null()) return {};
  return assign(reader.request().include_usage, read_bool(fmt::format("{}.include_usage", field), usage));
}

constexpr auto kRules = rule_table<Reader>({
    Rule{"best_of",
         [](Reader& reader, std::string_view field, Element value) {
           return assign(reader.seen().best_of, read_integer(field, value, {.min = 1, .max = kParallelChoicesMax}));
         }},
    Rule{"cache_salt", name_field<&GenerationRequest::cache_salt>},
    Rule{"frequency_penalty", sampling_number<&SamplingParams::frequency_penalty, kPenalty>},
    Rule{"guided_choice", constraint_field<read_guided_choice>},
    Rule{"guided_grammar", constraint_field<read_guided_grammar>},
    Rule{"guided_json", constraint_field<read_guided_json>},
    Rule{"guided_regex", unsupported_regex},
    Rule{"ignore_eos",
         [](Reader& reader, std::string_view field, Element value) {
           return assign(reader.request().sampling.ignore_eos, read_bool(field, value));
         }},
    Rule{"kv_transfer_params",
         [](Reader& reader, std::string_view field, Element value) {
           return assign(reader.request().kv_transfer, read_kv_transfer_params(field, value));
         }},
    Rule{kPromptTokensField,
         [](Reader& reader, std::string_view, Element value) -> Result<void> {
           // A client's own nonsense is no error: where it does not count it is an unknown field.
           std::string_view text;
           if (value.get(text) == simdjson::SUCCESS) reader.request().prompt_tokens = text;
           return {};
         }},
    Rule{"logit_bias", read_logit_bias},
    Rule{"max_completion_tokens", output_limit<&Reader::Seen::max_completion_tokens>},
    Rule{"max_tokens", output_limit<&Reader::Seen::max_tokens>},
    Rule{"min_p", sampling_number<&SamplingParams::min_p, kProbability>},
    Rule{"min_tokens",
         [](Reader& reader, std::string_view field, Element value) {
           return assign(reader.request().sampling.min_tokens,
                         read_integer(field, value, {.min = 0, .max = kOutputTokensMax}));
         }},
    Rule{"model", name_field<&GenerationRequest::model>},
    Rule{"n",
         [](Reader& reader, std::string_view field, Element value) {
           return assign(reader.request().choices, read_integer(field, value, {.min = 1, .max = kParallelChoicesMax}));
         }},
    Rule{"presence_penalty", sampling_number<&SamplingParams::presence_penalty, kPenalty>},
    Rule{"priority",
         [](Reader& reader, std::string_view field, Element value) -> Result<void> {
           LLMD_TRY(const std::int64_t priority, read_integer(field, value, {.min = -1'000'000, .max = 1'000'000}));
           // On the wire, as in vLLM, lower is earlier.
           reader.request().priority = static_cast<std::int32_t>(-priority);
           return {};
         }},
    Rule{"repetition_penalty", sampling_number<&SamplingParams::repetition_penalty, kRepetition>},
    Rule{"response_format", constraint_field<read_response_format>},
    Rule{"seed", read_seed},
    Rule{"stop", read_stop},
    Rule{"stream", [](Reader& reader, std::string_view field,
                      Element value) { return assign(reader.request().stream, read_bool(field, value)); }},
    Rule{"stream_options", read_stream_options},
    Rule{"structured_outputs", constraint_field<read_structured_outputs>},
    Rule{"temperature", sampling_number<&SamplingParams::temperature, kTemperature>},
    Rule{"top_k",
         [](Reader& reader, std::string_view field, Element value) -> Result<void> {
           LLMD_TRY(const std::int64_t top_k, read_integer(field, value, {.min = -1, .max = 1'000'000}));
           reader.request().sampling.top_k = static_cast<std::int32_t>(std::max<std::int64_t>(top_k, 0));
           return {};
         }},
    Rule{"top_p", sampling_number<&SamplingParams::top_p, kPositiveProbability>},
    Rule{"typical_p", sampling_number<&SamplingParams::typical_p, kPositiveProbability>},
    Rule{"user", name_field<&GenerationRequest::user>},
});

}  // namespace

Result<void> GenerationReader::read(std::string_view field, Element value) {
  const auto* rule = kRules.find(field);
  if (rule == nullptr || value.is_null()) return {};
  return rule->read(*this, field, value);
}

Result<void> GenerationReader::finish() {
  request_.max_tokens = seen_.max_completion_tokens ? seen_.max_completion_tokens : seen_.max_tokens;
  if (seen_.best_of && *seen_.best_of != static_cast<std::int64_t>(request_.choices)) {
    return bad_field("best_of", fmt::format("{}", *seen_.best_of),
                     fmt::format("the value of n, which is {}", request_.choices));
  }
  if (seen_.stream_options && !request_.stream) {
    return bad_field("stream_options", "given", "stream to be true with it");
  }
  if (seen_.constraints > 1) {
    return bad_field("response_format", "given beside another output constraint",
                     "one of response_format, structured_outputs and the guided_ fields");
  }
  if (request_.max_tokens && request_.sampling.min_tokens > *request_.max_tokens) {
    return bad_field("min_tokens", fmt::format("{}", request_.sampling.min_tokens),
                     fmt::format("at most max_tokens, which is {}", *request_.max_tokens));
  }
  return {};
}

}  // namespace llmd::openai
