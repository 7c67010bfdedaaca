#include "apps/gateway/prompt_tokenizer.h"

#include <malloc.h>

#include <utility>
#include <variant>

#include "api/conversion/chat_conversion.h"
#include "api/openai/chat_request.h"
#include "api/openai/completion_request.h"
#include "api/openai/tokenize_request.h"
#include "model/context_limit.h"
#include "telemetry/log.h"
#include "tokenizer/tokenize.h"

namespace llmd::gateway {
namespace {

constexpr unsigned kThreads = 2;
constexpr std::size_t kJobsMax = 64;

using Tokens = PromptTokenizer::Tokens;

Counter& prompts(MetricsRegistry& metrics, const char* by) {
  return metrics.counter("llmd_gateway_prompts_total", "Requests for workers of ours by how their tokens were counted",
                         {{"counted_by", by}});
}

/// A worker refuses what is too long only after it has found nothing else wrong; what is left to it here is the
/// grammar.
bool is_all_checked(const openai::GenerationRequest& request, bool has_tools) {
  return request.constraint.empty() && !has_tools;
}

Result<Tokens> finish(std::vector<openai::PromptTokens> prompts, bool with_field, const PromptContext& context,
                      const openai::GenerationRequest& request) {
  for (const openai::PromptTokens& prompt : prompts) {
    LLMD_TRY_VOID(
        check_context({.prompt_tokens = prompt.tokens.size(), .output_tokens_max = request.max_tokens.value_or(0)},
                      context.context_tokens));
  }
  Tokens tokens{.prompts = std::move(prompts), .field = {}};
  if (with_field) tokens.field = openai::encode_prompt_tokens(tokens.prompts);
  return tokens;
}

/// Only what no worker could serve is refused here. All else that is wrong, the worker says, alone.
Result<Tokens> refuse_or_leave(Error error, bool all_checked) {
  if (all_checked && error.code == ErrorCode::kContextLengthExceeded) return std::unexpected(std::move(error));
  return Tokens{};
}

Result<Tokens> read_chat(const PromptContext& context, const std::string& body) {
  const auto request = openai::parse_chat_completion(body);
  if (!request || !check_logit_bias(*context.tokenizer, request->generation.sampling)) return Tokens{};
  const bool all_checked = is_all_checked(request->generation, !request->prompt.tools_json.empty());
  auto prepared = prepare_chat(context, request->prompt, request->generation.constraint, {.prompt_only = true});
  if (!prepared) return refuse_or_leave(std::move(prepared).error(), all_checked);
  std::vector<openai::PromptTokens> prompts(1);
  prompts.front() = {.text_hash = prepared->text_hash, .tokens = std::move(prepared->tokens)};
  auto tokens = finish(std::move(prompts), true, context, request->generation);
  if (!tokens) return refuse_or_leave(std::move(tokens).error(), all_checked);
  return tokens;
}

/// As the worker does it: the two must come to the same text.
Result<Tokens> read_converted(const PromptContext& context, api::Dialect dialect, const std::string& body) {
  const auto request = api::convert_request(dialect, body, {.text_only = true});
  if (!request) return Tokens{};
  return read_chat(context, request->body);
}

Result<Tokens> read_completion(const PromptContext& context, const std::string& body) {
  const auto request = openai::parse_completion(body);
  if (!request || !check_logit_bias(*context.tokenizer, request->generation.sampling)) return Tokens{};
  const bool all_checked = is_all_checked(request->generation, false);
  auto prepared = prepare_prompts(context, request->prompts, request->suffix, "prompt");
  if (!prepared) return refuse_or_leave(std::move(prepared).error(), all_checked);
  std::vector<openai::PromptTokens> prompts(prepared->tokens.size());
  bool any_text = false;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    prompts[i].tokens = std::move(prepared->tokens[i]);
    const auto* text = std::get_if<std::string>(&request->prompts[i]);
    if (text == nullptr) continue;
    any_text = true;
    prompts[i].text_hash = text_hash(context, *text, request->suffix);
  }
  auto tokens = finish(std::move(prompts), any_text, context, request->generation);
  if (!tokens) return refuse_or_leave(std::move(tokens).error(), all_checked);
  return tokens;
}

Result<std::string> answer_tokenize(const PromptContext& context, const std::string& body) {
  LLMD_TRY(const openai::TokenizeRequest request, openai::parse_tokenize(body));
  return tokenize(context, request);
}

Result<std::string> answer_detokenize(const PromptContext& context, const std::string& body) {
  LLMD_TRY(const openai::DetokenizeRequest request, openai::parse_detokenize(body));
  return detokenize(context, request);
}

Result<std::string> answer_count_tokens(const PromptContext& context, const std::string& body) {
  constexpr auto kDialect = api::Dialect::kCountTokens;
  LLMD_TRY(const api::ConvertedRequest converted, api::convert_request(kDialect, body, {.text_only = true}));
  LLMD_TRY(const std::string tokens, answer_tokenize(context, converted.body));
  return api::convert_answer(kDialect, converted, {}, tokens);
}

}  // namespace

PromptTokenizer::PromptTokenizer(TokenizerOptions options, MetricsRegistry& metrics)
    : ready_{metrics.gauge("llmd_gateway_tokenizer_loaded", "1 once the vocabulary of the workers' model is loaded")},
      tokenised_{prompts(metrics, "tokenizer")},
      estimated_{prompts(metrics, "estimate")},
      offload_{kThreads, kJobsMax},
      loader_{[this, options = std::move(options)] { load(options); }} {}

void PromptTokenizer::load(const TokenizerOptions& options) {
  auto tokenizer = Tokenizer::load(options);
  if (!tokenizer) {
    log::warn("tokens are estimated, as the model's vocabulary cannot be used here: {}", tokenizer.error().to_string());
    return;
  }
  loaded_.store(std::make_shared<const PromptContext>(make_prompt_context(*std::move(tokenizer), 0)));
  ready_.set(1);
  ::malloc_trim(0);  // loading takes a quarter more than what it leaves
}

std::optional<PromptContext> PromptTokenizer::context(const Call& call) const {
  const std::shared_ptr<const PromptContext> loaded = loaded_.load();
  if (loaded == nullptr || call.context_tokens == 0 || call.body.size() > kBodyBytesMax) return std::nullopt;
  PromptContext context = *loaded;
  context.context_tokens = call.context_tokens;
  return context;
}

template <class Work>
Task<std::invoke_result_t<Work, const std::string&>> PromptTokenizer::run(const Call& call, Work work) {
  if (call.body.size() <= kInlineBytesMax) co_return work(call.body);
  // A copy: the job may outlive the request.
  auto job = [work = std::move(work), body = call.body] { return work(body); };
  co_return co_await offload_.run(call.loop, call.deadline, std::move(job));
}

Task<Result<Tokens>> PromptTokenizer::read(Call call) {
  const bool chat = call.path == "/v1/chat/completions";
  const api::Dialect dialect = api::dialect_of(call.path);
  const bool converted = dialect == api::Dialect::kMessages || dialect == api::Dialect::kResponses;
  if (!chat && !converted && call.path != "/v1/completions") co_return Tokens{};
  const auto context = this->context(call);
  if (!context) {
    estimated_.add();
    co_return Tokens{};
  }
  auto work = [chat, converted, dialect, context = *context](const std::string& body) {
    if (converted) return read_converted(context, dialect, body);
    return chat ? read_chat(context, body) : read_completion(context, body);
  };
  auto tokens = co_await run(call, std::move(work));
  if (!tokens && tokens.error().code != ErrorCode::kContextLengthExceeded) tokens = Tokens{};
  (tokens && tokens->prompts.empty() ? estimated_ : tokenised_).add();
  co_return tokens;
}

Task<std::optional<Result<std::string>>> PromptTokenizer::answer(Call call) {
  const bool tokenize = call.path == "/tokenize";
  const bool counts = api::dialect_of(call.path) == api::Dialect::kCountTokens;
  if (!tokenize && !counts && call.path != "/detokenize") co_return std::nullopt;
  const auto context = this->context(call);
  if (!context) co_return std::nullopt;
  auto work = [tokenize, counts, context = *context](const std::string& body) {
    if (counts) return answer_count_tokens(context, body);
    return tokenize ? answer_tokenize(context, body) : answer_detokenize(context, body);
  };
  auto json = co_await run(call, std::move(work));
  if (!json && json.error().code == ErrorCode::kOverloaded) co_return std::nullopt;
  co_return std::move(json);
}

}  // namespace llmd::gateway
