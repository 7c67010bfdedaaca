#include <fmt/format.h>

#include <memory>
#include <utility>
#include <vector>

#include "api/openai/embedding_answer.h"
#include "api/openai/embedding_request.h"
#include "apps/worker/answer_builder.h"
#include "apps/worker/generation.h"
#include "apps/worker/routes.h"
#include "tokenizer/prepare.h"

namespace llmd::worker {
namespace {

using Request = openai::EmbeddingRequest;

/// Collects one vector a sequence.
class EmbeddingBuilder final : public AnswerBuilder {
 public:
  EmbeddingBuilder(std::string model, std::size_t count, bool base64)
      : model_{std::move(model)}, base64_{base64}, vectors_(count) {}

  void append_events(std::size_t, SequenceEvent&&, std::string&) override {}
  void append_end(std::string&, const openai::Usage&) override {}
  void append_error(std::string& /*out*/, const Error& /*error*/) override {}
  void collect(std::size_t index, SequenceEvent&& event) override {
    if (!event.embedding.empty()) vectors_[index] = std::move(event.embedding);
  }
  [[nodiscard]] std::string whole(const openai::Usage& usage,
                                  const openai::KvTransferParams* /*kv_transfer*/) override {
    std::string json;
    openai::append_embeddings(
        json, {.model = model_, .vectors = vectors_, .base64 = base64_, .prompt_tokens = usage.prompt_tokens});
    return json;
  }

 private:
  std::string model_;
  bool base64_;
  std::vector<std::vector<float>> vectors_;
};

Result<Request> parse(Service& service, const Call& call) {
  LLMD_TRY(Request request, openai::parse_embedding(call.request().body));
  LLMD_TRY_VOID(service.check_model(request.model));
  if (!service.model().engine->info().embeddings) {
    return fail(ErrorCode::kUnsupported, "this model makes no embeddings", "serve an embedding model");
  }
  if (request.dimensions) {
    return std::unexpected(Error{.code = ErrorCode::kUnsupported,
                                 .what = "dimensions is given; this server does not shorten embeddings",
                                 .hint = "leave dimensions out",
                                 .param = "dimensions"});
  }
  return request;
}

Result<void> submit(Generation& generation, const std::vector<std::vector<TokenId>>& prompts, const std::string& id) {
  for (const std::vector<TokenId>& prompt : prompts) {
    SequenceRequest sequence{.request_id = id, .prompt = prompt, .max_tokens = 1, .embed = true};
    LLMD_TRY_VOID(generation.submit(std::move(sequence)));
  }
  return {};
}

}  // namespace

Task<void> handle_embeddings(Service& service, Call& call) {
  Result<Request> parsed = parse(service, call);
  if (!parsed) {
    co_await call.respond_error(std::move(parsed).error());
    co_return;
  }
  const auto request = std::make_shared<const Request>(*std::move(parsed));
  auto work = [context = service.model().prompts, request] {
    return prepare_prompts(context, request->inputs, {}, "input");
  };
  const Result<PreparedPrompts> prompts = co_await service.run_prepared(call, false, std::move(work));
  if (!prompts) {
    co_await call.respond_error(prompts.error());
    co_return;
  }
  Generation generation{service.loop(), *service.model().engine, service.router()};
  const Result<void> submitted = submit(generation, prompts->tokens, call.id());
  if (!submitted) {
    co_await call.respond_error(submitted.error());
    co_return;
  }
  EmbeddingBuilder builder{service.options().served_names.front(), prompts->tokens.size(), request->base64};
  const AnswerPlan plan{.drop_output = true};
  const DisconnectWatch watch{call.exchange(), [&generation] { generation.cancel(); }};
  co_await whole_answer(service, call, generation, builder, plan);
}

}  // namespace llmd::worker
