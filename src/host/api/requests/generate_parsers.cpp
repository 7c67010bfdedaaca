#include "api/requests/parsers.h"

/// The engines' own APIs that take token ids: vLLM's inference/v1/generate and SGLang's generate.
namespace llmd::api {
namespace {

constexpr FieldMeaning kVllm[] = {
    {"model", FieldUse::kModel},          {"token_ids", FieldUse::kPrompt},
    {"features", FieldUse::kFeatures},    {"sampling_params", FieldUse::kSampling},
    {"stream", FieldUse::kStream},        {"stream_options", FieldUse::kStreamOptions},
    {"priority", FieldUse::kPriority},    {"cache_salt", FieldUse::kCacheSalt},
    {"request_id", FieldUse::kRequestId},
};
constexpr FieldMeaning kSglang[] = {
    {"text", FieldUse::kPrompt},   {"input_ids", FieldUse::kPrompt},    {"sampling_params", FieldUse::kSampling},
    {"stream", FieldUse::kStream}, {"extra_key", FieldUse::kCacheSalt}, {"rid", FieldUse::kRequestId},
};
constexpr Api kVllmApi{.form = {.fields = kVllm, .sampling_output = "max_tokens"}, .prompt_field = "token_ids"};
constexpr Api kSglangApi{.form = {.fields = kSglang, .sampling_output = "max_new_tokens"},
                         .prompt_field = "input_ids or text"};
constexpr std::string_view kVllmPaths[] = {"inference/v1/generate"};
constexpr std::string_view kSglangPaths[] = {"generate"};

Result<ParsedRequest> parse_vllm(std::string_view /*path*/, std::string& body, const ParseHints& hints) {
  LLMD_TRY(ParsedRequest request, parse_json(kVllmApi, body, {0, body.size()}, hints));
  if (request.fields.prompt_ids.empty()) {
    return std::unexpected(Error{.code = ErrorCode::kInvalidRequest,
                                 .what = "token_ids is not a list of token ids",
                                 .hint = "send a prompt as text to completions",
                                 .param = "token_ids"});
  }
  return request;
}

/// SGLang serves one model, which no request names.
Result<ParsedRequest> parse_sglang(std::string_view /*path*/, std::string& body, const ParseHints& hints) {
  LLMD_TRY(ParsedRequest request, parse_json_without_model(kSglangApi, body, {0, body.size()}, hints));
  request.has_model = false;
  return request;
}

}  // namespace

constinit const RequestParser kVllmHttpParser{
    .type = "vllmhttp-parser", .path_suffixes = kVllmPaths, .protocols = kHttpAndH2c, .parse = parse_vllm};
constinit const RequestParser kSglangHttpParser{
    .type = "sglanghttp-parser", .path_suffixes = kSglangPaths, .protocols = kHttpAndH2c, .parse = parse_sglang};

}  // namespace llmd::api
