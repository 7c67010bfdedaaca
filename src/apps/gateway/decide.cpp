#include <algorithm>
#include <utility>

#include "api/requests/request_parser.h"
#include "api/responses/responses_request.h"
#include "apps/gateway/route_request.h"
#include "apps/gateway/service.h"
#include "dispatch/forward_headers.h"
#include "dispatch/legs.h"

namespace llmd::gateway {
namespace {

/// What decides, read as the endpoint picker reads the API.
Result<openai::RoutingFields> read_fields(api::Dialect dialect, std::string& body) {
  if (dialect == api::Dialect::kOpenAi) return openai::read_routing_fields(body);
  const bool responses = dialect == api::Dialect::kResponses;
  if (responses) LLMD_TRY_VOID(responses::check_stateless(body));
  const api::RequestParser* parser = api::find_parser(responses ? "openai-parser" : "anthropic-parser");
  LLMD_TRY(auto parsed, parser->parse(responses ? "/v1/responses" : "/v1/messages", body, {.model_required = false}));
  return std::move(parsed.fields);
}

constexpr unsigned kTargetsTried = 2;  // of a route, for one request

}  // namespace

Task<int> Service::decide_and_dispatch(const Caller& caller, net::Request& request, net::Exchange& exchange) {
  auto fields = read_fields(caller.dialect, request.body);
  if (!fields) co_return co_await refuse(fields.error(), caller, exchange);
  auto routed = route_request(pools_->view(), request, *fields, context_of(exchange.loop()).scratch.rng);
  if (!routed) co_return co_await refuse(routed.error(), caller, exchange);
  Errand errand{.caller = caller, .fields = *fields, .routed = *routed, .received = SteadyClock::now()};
  auto target = next_target(*routed, errand.received);
  for (unsigned tries = 1;; ++tries) {
    routed->tried[*target] = 1;
    const auto another = tries < kTargetsTried ? next_target(*routed, SteadyClock::now()) : std::nullopt;
    errand.may_go_elsewhere = another.has_value();
    const auto status = co_await serve_at(*target, errand, request, exchange);
    if (status) co_return *status;
    target = another;
    target_changes_.add();
  }
}

Task<std::optional<int>> Service::serve_at(std::size_t target, const Errand& errand, net::Request& request,
                                           net::Exchange& exchange) {
  ServingPool& pool = errand.routed.pool(target);
  const RouteView& view = *errand.routed.view;
  routing::Router& router = pool.plane->router();
  Turn turn{.caller = errand.caller, .pool = pool, .errand = errand, .model = errand.routed.target(target).model};
  if (turn.model.empty()) turn.model = errand.routed.model;
  if (turn.model.empty()) {
    auto model = router.resolve_model(errand.fields, SteadyClock::now());
    if (!model && errand.may_go_elsewhere) co_return std::nullopt;
    if (!model) co_return co_await refuse(model.error(), errand.caller, exchange);
    turn.model = *std::move(model);
  }
  if (view.named)
    view.requests[static_cast<std::size_t>(errand.routed.route - view.table.routes().data())][target]->add();
  if (const auto status = co_await read_tokens(turn, request, exchange)) co_return status;
  if (const auto refused = co_await wait_for_turn(turn, request, exchange)) co_return refused;
  LoopContext& context = context_of(exchange.loop());
  routing::Route decided =
      router.route({.request_id = errand.caller.request_id,
                    .model = turn.model,
                    .fields = errand.fields,
                    .prompts = turn.tokens.prompts,
                    .work = turn.work ? &*turn.work : nullptr,
                    .header = [&request](std::string_view name) { return request.headers.get(name); },
                    .pool = pool.name,
                    .via = view.named ? std::string_view{errand.routed.route->name} : std::string_view{}},
                   context.scratch, SteadyClock::now());
  if (decided.decision.outcome == Decision::Outcome::kDispatch)
    co_return co_await send(std::move(decided), turn, request, exchange);
  if (turn.pass != nullptr) turn.pass->finish(0);
  if (errand.may_go_elsewhere && decided.decision.outcome == Decision::Outcome::kNoEndpoint) co_return std::nullopt;
  Error refusal = routing::refusal_of(decided.decision.outcome);
  record(request, errand.received, std::move(decided.facts), {.status = http_status(refusal.code)});
  const int status = co_await answer_error(std::move(refusal), errand.caller, exchange);
  co_return status;
}

Task<std::optional<int>> Service::read_tokens(Turn& turn, net::Request& request, net::Exchange& exchange) {
  if (turn.pool.tokenizer == nullptr) co_return std::nullopt;
  const PromptTokenizer::Call call{
      .loop = exchange.loop(),
      .path = request.path(),
      .body = request.body,
      .context_tokens = turn.pool.plane->router().facts_of_model(turn.model, SteadyClock::now()).context_tokens,
      .deadline = turn.errand.received + setup_.options.request_timeout};
  auto answer = co_await turn.pool.tokenizer->answer(call);
  if (answer) {
    const int status = co_await answer_text(*std::move(answer), turn.caller, exchange);
    co_return status;
  }
  auto read = co_await turn.pool.tokenizer->read(call);
  if (!read) {
    const int status = co_await refuse(std::move(read).error(), turn.caller, exchange);
    co_return status;
  }
  turn.tokens = *std::move(read);
  co_return std::nullopt;
}

Task<std::optional<int>> Service::send(routing::Route decided, Turn& turn, net::Request& request,
                                       net::Exchange& exchange) {
  const Errand& errand = turn.errand;
  openai::BodyChanges changes{.prompt_tokens = turn.tokens.field};
  changes.ask_for_usage = errand.fields.may_ask_for_usage() && dispatch::asks_for_usage(request.path());
  if (errand.fields.model != turn.model) changes.model = turn.model;
  const auto body = openai::rewrite_body(request.body, errand.fields, changes);
  dispatch::DispatchRequest sent{
      .method = request.method,
      .target = request.target,
      .headers = dispatch::request_headers(request.headers, {.request_id = errand.caller.request_id,
                                                             .keep_authorization = setup_.options.api_key.empty()}),
      .body = body ? std::string_view{*body} : std::string_view{request.body},
      .route = std::move(decided),
      .hides_usage = changes.ask_for_usage,
      .may_go_elsewhere = errand.may_go_elsewhere};
  if (errand.routed.shown != turn.model) sent.answer_model = errand.routed.shown;
  dispatch::Revocation revocation;
  if (turn.pass != nullptr) follow(*turn.pass, sent, revocation);
  dispatch::Dispatcher& dispatcher = context_of(exchange.loop()).dispatcher_of(turn.pool);
  const Outcome outcome = co_await dispatcher.carry_out(sent, exchange);
  if (turn.pass != nullptr) {
    turn.pass->on_evict({});
    turn.pass->finish(outcome.completion_tokens);
  }
  if (sent.untaken) co_return std::nullopt;
  note(outcome);
  record(request, errand.received, std::move(sent.route.facts), outcome);
  co_return outcome.cancelled ? http_status(ErrorCode::kCancelled) : outcome.status;
}

}  // namespace llmd::gateway
