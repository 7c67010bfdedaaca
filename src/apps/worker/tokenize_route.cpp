#include <memory>
#include <string>
#include <utility>

#include "api/conversion/chat_conversion.h"
#include "api/openai/tokenize_request.h"
#include "apps/worker/routes.h"
#include "tokenizer/tokenize.h"

namespace llmd::worker {
namespace {

/// Parses, checks the model, and runs `work` on the request.
template <class Request>
Task<void> answer(Service& service, Call& call, Result<Request> parsed,
                  Result<std::string> (*work)(const PromptContext&, const Request&)) {
  Result<void> known;
  if (parsed) known = service.check_model(parsed->model);
  if (!parsed || !known) {
    // Not `?:` in the call: of it in a co_await expression GCC 12 evaluates both sides.
    Error error;
    if (parsed) {
      error = std::move(known).error();
    } else {
      error = std::move(parsed).error();
    }
    co_await call.respond_error(std::move(error));
    co_return;
  }
  const auto request = std::make_shared<const Request>(*std::move(parsed));
  auto job = [context = service.model().prompts, request, work] { return work(context, *request); };
  Result<std::string> json = co_await service.run_prepared(call, false, std::move(job));
  if (!json) {
    co_await call.respond_error(std::move(json).error());
    co_return;
  }
  co_await call.respond_json(200, *std::move(json));
}

/// What counts are asked for of, in Anthropic's form.
Result<openai::TokenizeRequest> parse_counted(const Call& call) {
  LLMD_TRY(const api::ConvertedRequest converted,
           api::convert_request(call.dialect(), call.request().body, {.text_only = true}));
  return openai::parse_tokenize(converted.body);
}

Result<std::string> count(const PromptContext& context, const openai::TokenizeRequest& request) {
  LLMD_TRY(const std::string counted, tokenize(context, request));
  return api::convert_answer(api::Dialect::kCountTokens, {}, {}, counted);
}

}  // namespace

Task<void> handle_count_tokens(Service& service, Call& call) {
  co_await answer(service, call, parse_counted(call), count);
}

Task<void> handle_tokenize(Service& service, Call& call) {
  co_await answer(service, call, openai::parse_tokenize(call.request().body), tokenize);
}

Task<void> handle_detokenize(Service& service, Call& call) {
  co_await answer(service, call, openai::parse_detokenize(call.request().body), detokenize);
}

}  // namespace llmd::worker
