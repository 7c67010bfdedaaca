#include <algorithm>
#include <ctime>
#include <memory>
#include <utility>

#include "api/openai/completion_request.h"
#include "apps/worker/completion_builder.h"
#include "apps/worker/generation.h"
#include "apps/worker/kv_transfer.h"
#include "apps/worker/routes.h"
#include "apps/worker/sequences.h"
#include "tokenizer/prepare.h"

namespace llmd::worker {
namespace {

using Request = openai::CompletionRequest;
using Prompts = std::vector<std::vector<TokenId>>;

struct Prepared {
  Prompts prompts;
  std::size_t known = 0;  // of them, not tokenised here
  std::string grammar;
  std::vector<CompletionBuilder::Echo> echoes;
};

Result<Request> parse(const Service& service, const Call& call) {
  LLMD_TRY(Request request, openai::parse_completion(call.request().body));
  LLMD_TRY_VOID(service.check_model(request.generation.model));
  LLMD_TRY_VOID(prepare_prefill_leg(request.generation));
  return request;
}

CompletionBuilder::Echo make_echo(const Tokenizer& tokenizer, const openai::TokenPrompt& prompt,
                                  const std::vector<TokenId>& tokens, bool logprobs) {
  CompletionBuilder::Echo echo;
  const auto* text = std::get_if<std::string>(&prompt);
  echo.text = text != nullptr ? *text : tokenizer.decode(tokens, true);
  if (!logprobs) return echo;
  for (const TokenId token : tokens) echo.tokens.push_back(tokenizer.piece(token, true));
  return echo;
}

Result<Prepared> prepare(const PromptContext& context, const Request& request,
                         const std::vector<openai::PromptTokens>& known) {
  const SamplingParams& sampling = request.generation.sampling;
  LLMD_TRY_VOID(check_logit_bias(*context.tokenizer, sampling));
  Prepared prepared;
  LLMD_TRY(prepared.grammar, prepare_grammar(request.generation.constraint));
  LLMD_TRY(PreparedPrompts prompts,
           prepare_prompts(context, request.prompts, request.suffix, "prompt", {.known = known}));
  prepared.prompts = std::move(prompts.tokens);
  prepared.known = prompts.known;
  if (!request.echo) return prepared;
  for (std::size_t i = 0; i < request.prompts.size(); ++i) {
    prepared.echoes.push_back(
        make_echo(*context.tokenizer, request.prompts[i], prepared.prompts[i], sampling.top_logprobs.has_value()));
  }
  return prepared;
}

Result<void> submit(Generation& generation, const Request& request, const Prepared& prepared, const std::string& id) {
  for (const std::vector<TokenId>& prompt : prepared.prompts) {
    for (std::size_t choice = 0; choice < request.generation.choices; ++choice) {
      SequenceRequest sequence = make_sequence(request.generation, id, prompt, choice);
      sequence.sampling.grammar.gbnf = prepared.grammar;
      // The engine makes at least one token; an echo alone drops it.
      sequence.max_tokens = std::max(sequence.max_tokens, 1U);
      if (request.echo) sequence.prompt_logprobs = sequence.sampling.top_logprobs;
      LLMD_TRY_VOID(generation.submit(std::move(sequence)));
    }
  }
  return {};
}

CompletionBuilder::Setup setup_of(const Service& service, const Call& call, const Request& request,
                                  const Prepared& prepared) {
  return {.head = {.id = openai::answer_id("cmpl-", call.id()),
                   .model = service.options().served_names.front(),
                   .created = std::time(nullptr)},
          .choices_per_prompt = request.generation.choices,
          .choices = prepared.prompts.size() * request.generation.choices,
          .logprobs = request.generation.sampling.top_logprobs.has_value(),
          .include_usage = request.generation.include_usage,
          .drop_output = request.generation.max_tokens == 0U,
          .echoes = prepared.echoes};
}

}  // namespace

Task<void> handle_completions(Service& service, Call& call) {
  Result<Request> parsed = parse(service, call);
  if (!parsed) {
    co_await call.respond_error(std::move(parsed).error());
    co_return;
  }
  const auto request = std::make_shared<const Request>(*std::move(parsed));
  const openai::GenerationRequest& common = request->generation;
  auto work = [context = service.model().prompts, request, known = service.known_prompts(common)] {
    return prepare(context, *request, known);
  };
  const Result<Prepared> prepared = co_await service.run_prepared(call, !common.constraint.empty(), std::move(work));
  if (!prepared) {
    co_await call.respond_error(prepared.error());
    co_return;
  }
  const auto texts = std::ranges::count_if(
      request->prompts, [](const auto& prompt) { return std::holds_alternative<std::string>(prompt); });
  service.count_prompts(static_cast<std::size_t>(texts), prepared->known);
  Generation generation{service.loop(), *service.model().engine, service.router()};
  KvTransfer transfer{service, call, common};
  co_await transfer.receive(prepared->prompts, generation);
  const Result<void> submitted = submit(generation, *request, *prepared, call.id());
  if (!submitted) {
    co_await call.respond_error(submitted.error());
    co_return;
  }
  CompletionBuilder builder{setup_of(service, call, *request, *prepared)};
  const AnswerPlan plan{.choices_per_prompt = common.choices,
                        .drop_output = common.max_tokens == 0U,
                        .max_tokens = common.max_tokens.value_or(0),
                        .keep_blocks = [&] { return transfer.keep(prepared->prompts); }};
  const DisconnectWatch watch{call.exchange(), [&generation] { generation.cancel(); }};
  if (common.stream) {
    co_await stream_answer(service, call, generation, builder, plan);
  } else {
    co_await whole_answer(service, call, generation, builder, plan);
  }
}

}  // namespace llmd::worker
