#include "api/requests/parsers.h"

/// OpenAI's APIs with vLLM's extensions, and vLLM's rerank.
namespace llmd::api {
namespace {

constexpr FieldMeaning kChat[] = {
    {"model", FieldUse::kModel},
    {"messages", FieldUse::kPrompt},
    {"tools", FieldUse::kTools},
    {"stream", FieldUse::kStream},
    {"stream_options", FieldUse::kStreamOptions},
    {"max_completion_tokens", FieldUse::kOutputTokensFirst},
    {"max_tokens", FieldUse::kOutputTokens},
    {"priority", FieldUse::kPriority},
    {"cache_salt", FieldUse::kCacheSalt},
    {"vllm_xargs", FieldUse::kExtraArguments},
    {"request_id", FieldUse::kRequestId},
};
constexpr FieldMeaning kCompletions[] = {
    {"model", FieldUse::kModel},
    {"prompt", FieldUse::kPrompt},
    {"stream", FieldUse::kStream},
    {"stream_options", FieldUse::kStreamOptions},
    {"max_tokens", FieldUse::kOutputTokens},
    {"priority", FieldUse::kPriority},
    {"cache_salt", FieldUse::kCacheSalt},
    {"vllm_xargs", FieldUse::kExtraArguments},
    {"request_id", FieldUse::kRequestId},
};
constexpr FieldMeaning kResponses[] = {
    {"model", FieldUse::kModel},
    {"input", FieldUse::kPrompt},
    {"instructions", FieldUse::kSystem},
    {"tools", FieldUse::kTools},
    {"stream", FieldUse::kStream},
    {"max_output_tokens", FieldUse::kOutputTokens},
    {"priority", FieldUse::kPriority},
    {"cache_salt", FieldUse::kCacheSalt},
    {"vllm_xargs", FieldUse::kExtraArguments},
    {"request_id", FieldUse::kRequestId},
};
constexpr FieldMeaning kConversations[] = {
    {"model", FieldUse::kModel},
    {"items", FieldUse::kPrompt},
    {"stream", FieldUse::kStream},
    {"cache_salt", FieldUse::kCacheSalt},
};
constexpr FieldMeaning kEmbeddings[] = {
    {"model", FieldUse::kModel},       {"input", FieldUse::kPrompt},         {"messages", FieldUse::kPrompt},
    {"priority", FieldUse::kPriority}, {"cache_salt", FieldUse::kCacheSalt}, {"request_id", FieldUse::kRequestId},
    {"stream", FieldUse::kStream},
};
constexpr FieldMeaning kRerank[] = {
    {"model", FieldUse::kModel},       {"query", FieldUse::kSystem},         {"documents", FieldUse::kPrompt},
    {"priority", FieldUse::kPriority}, {"cache_salt", FieldUse::kCacheSalt}, {"request_id", FieldUse::kRequestId},
    {"stream", FieldUse::kStream},
};
constexpr FieldMeaning kImages[] = {
    {"model", FieldUse::kModel},
    {"prompt", FieldUse::kPrompt},
    {"stream", FieldUse::kStream},
};
constexpr FieldMeaning kRawPredict[] = {
    {"model", FieldUse::kModel},
    {"input", FieldUse::kPrompt},
    {"messages", FieldUse::kPrompt},
    {"prompt", FieldUse::kPrompt},
    {"instructions", FieldUse::kSystem},
    {"system", FieldUse::kSystem},
    {"tools", FieldUse::kTools},
    {"stream", FieldUse::kStream},
    {"max_output_tokens", FieldUse::kOutputTokensFirst},
    {"max_tokens", FieldUse::kOutputTokens},
    {"cache_salt", FieldUse::kCacheSalt},
    {"vllm_xargs", FieldUse::kExtraArguments},
};

constexpr BodyForm kChatForm{.fields = kChat, .has_media = true};
constexpr BodyForm kCompletionsForm{.fields = kCompletions};

/// The first suffix that fits is taken, so that the longer ones come first. Whatever fits none is a completion, as in
/// llm-d.
constexpr Api kApis[] = {
    {.path_suffix = "chat/completions", .form = kChatForm, .prompt_field = "messages", .list_only = true},
    {.path_suffix = "chat/completions/render", .form = kChatForm, .prompt_field = "messages", .list_only = true},
    {.path_suffix = "responses",
     .form = {.fields = kResponses, .has_media = true},
     .prompt_field = "input",
     .empty_prompt_allowed = true},
    {.path_suffix = "conversations",
     .form = {.fields = kConversations, .has_media = true},
     .prompt_field = "items",
     .list_only = true},
    {.path_suffix = "embeddings", .form = {.fields = kEmbeddings, .has_media = true}, .prompt_field = "input"},
    {.path_suffix = "rerank", .form = {.fields = kRerank, .has_media = true}, .prompt_field = "documents"},
    {.path_suffix = "images/generations", .form = {.fields = kImages}, .prompt_field = "prompt"},
    {.path_suffix = "completions/render", .form = kCompletionsForm, .prompt_field = "prompt"},
    {.path_suffix = "completions", .form = kCompletionsForm, .prompt_field = "prompt"},
};

constexpr std::string_view kPaths[] = {
    "chat/completions",        "completions",        "embeddings",         "responses", "conversations",
    "chat/completions/render", "completions/render", "images/generations", "rerank",
};

Result<ParsedRequest> parse(std::string_view path, std::string& body, const ParseHints& hints) {
  path = plain_path(path);
  for (const Api& api : kApis) {
    if (path.ends_with(api.path_suffix)) return parse_json(api, body, {0, body.size()}, hints);
  }
  return parse_json(kApis[std::size(kApis) - 1], body, {0, body.size()}, hints);
}

}  // namespace

constinit const Api kChatApi = kApis[0];
constinit const Api kRawPredictApi{.path_suffix = {},
                                   .form = {.fields = kRawPredict, .has_media = true},
                                   .prompt_field = "input",
                                   .empty_prompt_allowed = true};

constinit const RequestParser kOpenAiParser{
    .type = "openai-parser", .path_suffixes = kPaths, .protocols = kHttpAndH2c, .parse = parse};

}  // namespace llmd::api
