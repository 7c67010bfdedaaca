#include "api/requests/parsers.h"

/// Anthropic's messages.
namespace llmd::api {
namespace {

constexpr FieldMeaning kMessages[] = {
    {"model", FieldUse::kModel},          {"messages", FieldUse::kPrompt},   {"system", FieldUse::kSystem},
    {"tools", FieldUse::kTools},          {"stream", FieldUse::kStream},     {"max_tokens", FieldUse::kOutputTokens},
    {"cache_salt", FieldUse::kCacheSalt}, {"priority", FieldUse::kPriority},
};
constexpr Api kApi{.form = {.fields = kMessages, .has_media = true}, .prompt_field = "messages", .list_only = true};

constexpr std::string_view kCountTokens = "messages/count_tokens";
constexpr std::string_view kPaths[] = {"messages", kCountTokens};

Result<ParsedRequest> parse(std::string_view path, std::string& body, const ParseHints& hints) {
  if (!plain_path(path).ends_with(kCountTokens)) return parse_json(kApi, body, {0, body.size()}, hints);
  // As in llm-d it is forwarded whatever it is; what can be read of it still helps to choose.
  auto read = parse_json_without_model(kApi, body, {0, body.size()}, hints);
  ParsedRequest request;
  if (read) request = *std::move(read);
  request.has_model = request.fields.model.has_value();
  request.skips_response = true;
  request.answer = AnswerForm::kUnknown;
  return request;
}

}  // namespace

constinit const RequestParser kAnthropicParser{
    .type = "anthropic-parser", .path_suffixes = kPaths, .protocols = kHttpAndH2c, .parse = parse};

}  // namespace llmd::api
