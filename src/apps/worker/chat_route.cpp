#include <ctime>
#include <memory>
#include <utility>

#include "api/conversion/chat_conversion.h"
#include "api/openai/chat_request.h"
#include "apps/worker/chat_builder.h"
#include "apps/worker/generation.h"
#include "apps/worker/kv_transfer.h"
#include "apps/worker/routes.h"
#include "apps/worker/sequences.h"
#include "tokenizer/prepare.h"

namespace llmd::worker {
namespace {

/// A chat, and the request of another API that it was made from.
struct Request : openai::ChatCompletionRequest {
  api::ConvertedRequest converted;
};

Result<Request> parse(const Service& service, const Call& call) {
  Request request;
  std::string_view body = call.request().body;
  if (call.dialect() != api::Dialect::kOpenAi) {
    LLMD_TRY(request.converted, api::convert_request(call.dialect(), body, {.text_only = true}));
    body = request.converted.body;
  }
  LLMD_TRY(static_cast<openai::ChatCompletionRequest&>(request), openai::parse_chat_completion(body));
  LLMD_TRY_VOID(service.check_model(request.generation.model));
  LLMD_TRY_VOID(prepare_prefill_leg(request.generation));
  return request;
}

Result<void> submit(Generation& generation, const Request& request, const PreparedChat& prepared,
                    const std::string& id) {
  for (std::size_t choice = 0; choice < request.generation.choices; ++choice) {
    SequenceRequest sequence = make_sequence(request.generation, id, prepared.tokens, choice);
    sequence.sampling.grammar = prepared.rendered.grammar;
    sequence.stop.insert(sequence.stop.end(), prepared.rendered.stop.begin(), prepared.rendered.stop.end());
    LLMD_TRY_VOID(generation.submit(std::move(sequence)));
  }
  return {};
}

Result<PreparedChat> prepare(const PromptContext& context, const Request& request,
                             const std::vector<openai::PromptTokens>& known) {
  LLMD_TRY_VOID(check_logit_bias(*context.tokenizer, request.generation.sampling));
  return prepare_chat(context, request.prompt, request.generation.constraint, {.known = known});
}

ChatBuilder::Setup setup_of(const Service& service, const Call& call, const Request& request,
                            const PreparedChat& prepared) {
  const std::string& model = service.options().served_names.front();
  const std::int64_t created = std::time(nullptr);
  std::unique_ptr<openai::ChatAnswerWriter> writer;
  if (call.dialect() == api::Dialect::kOpenAi) {
    writer =
        openai::make_chat_writer({.id = openai::answer_id("chatcmpl-", call.id()), .model = model, .created = created},
                                 request.generation.include_usage);
  } else {
    writer = api::make_answer_writer(call.dialect(), request.converted,
                                     {.request_id = call.id(),
                                      .model = model,
                                      .created = created,
                                      .prompt_tokens = static_cast<std::uint32_t>(prepared.tokens.size())});
  }
  return {.writer = std::move(writer),
          .choices = request.generation.choices,
          .logprobs = request.generation.sampling.top_logprobs.has_value()};
}

}  // namespace

// Also of messages and responses: what they ask for is a chat, and the writer gives its answer their form.
Task<void> handle_chat_completions(Service& service, Call& call) {
  Result<Request> parsed = parse(service, call);
  if (!parsed) {
    co_await call.respond_error(std::move(parsed).error());
    co_return;
  }
  const auto request = std::make_shared<const Request>(*std::move(parsed));
  const openai::GenerationRequest& common = request->generation;
  const bool heavy = !common.constraint.empty() || !request->prompt.tools_json.empty();
  auto work = [context = service.model().prompts, request, known = service.known_prompts(common)] {
    return prepare(context, *request, known);
  };
  const Result<PreparedChat> prepared = co_await service.run_prepared(call, heavy, std::move(work));
  if (!prepared) {
    co_await call.respond_error(prepared.error());
    co_return;
  }
  service.count_prompts(1, prepared->tokens_were_known ? 1 : 0);
  Generation generation{service.loop(), *service.model().engine, service.router()};
  KvTransfer transfer{service, call, common};
  const std::span<const std::vector<TokenId>> prompts{&prepared->tokens, 1};
  co_await transfer.receive(prompts, generation);
  const Result<void> submitted = submit(generation, *request, *prepared, call.id());
  if (!submitted) {
    co_await call.respond_error(submitted.error());
    co_return;
  }
  ChatBuilder builder{setup_of(service, call, *request, *prepared), prepared->rendered};
  const AnswerPlan plan{.choices_per_prompt = common.choices,
                        .max_tokens = common.max_tokens.value_or(0),
                        .keep_blocks = [&] { return transfer.keep(prompts); }};
  const DisconnectWatch watch{call.exchange(), [&generation] { generation.cancel(); }};
  if (common.stream) {
    co_await stream_answer(service, call, generation, builder, plan);
  } else {
    co_await whole_answer(service, call, generation, builder, plan);
  }
}

}  // namespace llmd::worker
