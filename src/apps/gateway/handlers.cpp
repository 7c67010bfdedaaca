#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "api/openai/credentials.h"
#include "api/openai/error.h"
#include "api/requests/request_parser.h"
#include "api/responses/responses_request.h"
#include "apps/gateway/openapi.h"
#include "apps/gateway/service.h"
#include "dispatch/forward_headers.h"
#include "dispatch/legs.h"
#include "exporters/prometheus.h"
#include "flow/item.h"
#include "routing/fairness_id.h"
#include "telemetry/log.h"

namespace llmd::gateway {
namespace {

/// A request counted as in flight while it lives.
class InFlightCount {
 public:
  InFlightCount(std::atomic<std::uint32_t>& count, Gauge& gauge) : count_{count}, gauge_{gauge} {
    gauge_.set(count_.fetch_add(1, std::memory_order_relaxed) + 1);
  }
  ~InFlightCount() { gauge_.set(count_.fetch_sub(1, std::memory_order_relaxed) - 1); }
  InFlightCount(const InFlightCount&) = delete;
  InFlightCount& operator=(const InFlightCount&) = delete;

 private:
  std::atomic<std::uint32_t>& count_;
  Gauge& gauge_;
};

std::string request_id_of(const net::Request& request, Rng& rng) {
  if (auto given = openai::accept_request_id(request.headers.get("x-request-id"))) return *std::move(given);
  const std::uint64_t high = rng.next();
  return openai::make_request_id(high, static_cast<std::uint32_t>(rng.next()));
}

bool is_json(const net::Request& request) {
  const auto type = request.headers.get("content-type");
  if (!type) return true;
  constexpr std::string_view kJson = "application/json";
  return type->size() >= kJson.size() && net::equals_ignoring_case(type->substr(0, kJson.size()), kJson);
}

/// What decides, read as the endpoint picker reads the API.
Result<openai::RoutingFields> read_fields(api::Dialect dialect, std::string& body) {
  if (dialect == api::Dialect::kOpenAi) return openai::read_routing_fields(body);
  const bool responses = dialect == api::Dialect::kResponses;
  if (responses) LLMD_TRY_VOID(responses::check_stateless(body));
  const api::RequestParser* parser = api::find_parser(responses ? "openai-parser" : "anthropic-parser");
  LLMD_TRY(auto parsed, parser->parse(responses ? "/v1/responses" : "/v1/messages", body, {.model_required = false}));
  return std::move(parsed.fields);
}

Error no_route(const net::Request& request, const RouteMatch& match) {
  if (match.route == nullptr) {
    return {.code = ErrorCode::kNotFound, .what = "no such path here", .hint = "GET /openapi.json lists the paths"};
  }
  return {
      .code = ErrorCode::kMethodNotAllowed,
      .what = fmt::format("{} is not allowed here; expected {}", request.method.substr(0, 16), match.route->methods)};
}

}  // namespace

Result<void> Service::check_request(const RouteMatch& match, const net::Request& request) const {
  const bool open = match.route != nullptr && match.route->open;
  if (!open && !openai::authorized(setup_.options.api_key,
                                   openai::GivenKeys{.authorization = request.headers.get("authorization"),
                                                     .x_api_key = request.headers.get("x-api-key")})) {
    return fail(ErrorCode::kInvalidApiKey, "the bearer key is missing or wrong", "send Authorization: Bearer KEY");
  }
  if (match.route == nullptr || !match.method_allowed) return std::unexpected(no_route(request, match));
  if (request.method == "POST" && !is_json(request)) {
    return fail(ErrorCode::kUnsupportedMediaType, "the Content-Type is not application/json",
                "send Content-Type: application/json");
  }
  return {};
}

Task<void> Service::handle(net::Request request, net::Exchange& exchange) {
  LoopContext& context = context_of(exchange.loop());
  const std::string path{request.path()};
  const Caller caller{.request_id = request_id_of(request, context.ids), .dialect = api::dialect_of(path)};
  const RouteMatch match = find_route(request.method, path);
  if (const Result<void> checked = check_request(match, request); !checked) {
    // Not in the call: of `?:` in a co_await expression GCC 12 evaluates both sides.
    std::string_view allow;
    if (checked.error().code == ErrorCode::kMethodNotAllowed) allow = match.route->methods;
    co_await answer_error(checked.error(), caller, exchange, allow);
    co_return;
  }
  co_await serve(match, caller, request, exchange);
}

Task<void> Service::serve(const RouteMatch& match, const Caller& caller, net::Request& request,
                          net::Exchange& exchange) {
  switch (match.route->kind) {
    case RouteKind::kInference:
    case RouteKind::kForward: co_await infer(*match.route, caller, request, exchange); co_return;
    case RouteKind::kModels: co_await answer_json(200, models_json(), caller, exchange); co_return;
    case RouteKind::kOpenApi: co_await answer_json(200, std::string{openapi_json()}, caller, exchange); co_return;
    case RouteKind::kModel: {
      auto json = model_json(match.tail);
      if (!json) {
        co_await answer_error(std::move(json).error(), caller, exchange);
        co_return;
      }
      co_await answer_json(200, *std::move(json), caller, exchange);
      co_return;
    }
    case RouteKind::kHealth:
    case RouteKind::kReady: {
      const bool serves = plane_->router().can_serve(SteadyClock::now());
      const bool ok = serves && (match.route->kind == RouteKind::kHealth || !draining_);
      co_await answer_json(ok ? 200 : 503, health_json(ok), caller, exchange);
      co_return;
    }
    case RouteKind::kMetrics: {
      net::Response response;
      response.headers.add("Content-Type", std::string{kPrometheusContentType});
      response.body = co_await metrics_page(context_of(exchange.loop()));
      (void)co_await exchange.respond(std::move(response));
      co_return;
    }
  }
}

bool Service::full() const {
  const std::uint64_t in_flight = in_flight_.load(std::memory_order_relaxed);
  if (in_flight < setup_.options.in_flight_max) return false;
  return !plane_->flow().enabled() ||
         in_flight - std::min(in_flight, plane_->flow().waiting()) >= setup_.options.in_flight_max;
}

Task<void> Service::infer(const Route& route, const Caller& caller, net::Request& request, net::Exchange& exchange) {
  LoopContext& context = context_of(exchange.loop());
  const TimePoint arrived = SteadyClock::now();
  std::optional<InFlightCount> counted;
  if (route.kind == RouteKind::kInference) {
    if (full()) {
      count(context, route, 429);
      // Named: of an aggregate that is a temporary of a co_await, GCC 12 destroys the members twice.
      Error full{.code = ErrorCode::kOverloaded,
                 .what = fmt::format("{} requests are in flight, which is the limit", setup_.options.in_flight_max),
                 .hint = "try again later"};
      co_await refuse(std::move(full), caller, exchange);
      co_return;
    }
    counted.emplace(in_flight_, in_flight_gauge_);
  }
  const int status = co_await decide_and_dispatch(caller, request, exchange);
  count(context, route, status);
  const Duration took = SteadyClock::now() - arrived;
  if (counted) request_seconds_.observe(to_seconds(took));
  if (log::enabled(log::Level::kInfo)) {
    log::write(log::Level::kInfo, caller.request_id,
               fmt::format("{} {} in {:.1f} ms", route.path, status, to_milliseconds(took)));
  }
}

Task<int> Service::decide_and_dispatch(const Caller& caller, net::Request& request, net::Exchange& exchange) {
  LoopContext& context = context_of(exchange.loop());
  const TimePoint now = SteadyClock::now();
  const auto fields = read_fields(caller.dialect, request.body);
  if (!fields) co_return co_await refuse(fields.error(), caller, exchange);
  const auto model = plane_->router().resolve_model(*fields, now);
  if (!model) co_return co_await refuse(model.error(), caller, exchange);
  PromptTokenizer::Tokens tokens;
  if (tokenizer_ != nullptr) {
    const PromptTokenizer::Call call{.loop = exchange.loop(),
                                     .path = request.path(),
                                     .body = request.body,
                                     .context_tokens = plane_->router().facts_of_model(*model, now).context_tokens,
                                     .deadline = now + setup_.options.request_timeout};
    auto answer = co_await tokenizer_->answer(call);
    if (answer) co_return co_await answer_text(*std::move(answer), caller, exchange);
    auto read = co_await tokenizer_->read(call);
    if (!read) co_return co_await refuse(std::move(read).error(), caller, exchange);
    tokens = *std::move(read);
  }
  Turn turn{.caller = caller, .model = *model, .fields = *fields, .prompts = tokens.prompts, .received = now};
  if (const auto refused = co_await wait_for_turn(turn, request, exchange)) co_return *refused;
  routing::Route decided =
      plane_->router().route({.request_id = caller.request_id,
                              .model = *model,
                              .fields = *fields,
                              .prompts = tokens.prompts,
                              .work = turn.work ? &*turn.work : nullptr,
                              .header = [&request](std::string_view name) { return request.headers.get(name); }},
                             context.scratch, SteadyClock::now());
  if (decided.decision.outcome != Decision::Outcome::kDispatch) {
    if (turn.pass != nullptr) turn.pass->finish(0);
    Error refusal = routing::refusal_of(decided.decision.outcome);
    record(request, now, std::move(decided.facts), {.status = http_status(refusal.code)});
    co_return co_await answer_error(std::move(refusal), caller, exchange);
  }
  openai::BodyChanges changes{.prompt_tokens = tokens.field};
  changes.ask_for_usage = fields->may_ask_for_usage() && dispatch::asks_for_usage(request.path());
  if (fields->model != *model) changes.model = *model;
  const auto body = openai::rewrite_body(request.body, *fields, changes);
  dispatch::DispatchRequest sent{
      .method = request.method,
      .target = request.target,
      .headers = dispatch::request_headers(
          request.headers, {.request_id = caller.request_id, .keep_authorization = setup_.options.api_key.empty()}),
      .body = body ? std::string_view{*body} : std::string_view{request.body},
      .route = std::move(decided),
      .hides_usage = changes.ask_for_usage};
  dispatch::Revocation revocation;
  if (turn.pass != nullptr) follow(*turn.pass, sent, revocation);
  const Outcome outcome = co_await context.dispatcher.carry_out(sent, exchange);
  if (turn.pass != nullptr) {
    turn.pass->on_evict({});
    turn.pass->finish(outcome.completion_tokens);
  }
  note(outcome);
  record(request, now, std::move(sent.route.facts), outcome);
  co_return outcome.cancelled ? http_status(ErrorCode::kCancelled) : outcome.status;
}

Task<int> Service::answer_text(Result<std::string> json, const Caller& caller, net::Exchange& exchange) {
  if (!json) co_return co_await answer_error(std::move(json).error(), caller, exchange);
  co_await answer_json(200, *std::move(json), caller, exchange);
  co_return 200;
}

void Service::note(const Outcome& outcome) {
  if (outcome.ttft > Duration::zero()) ttft_seconds_.observe(to_seconds(outcome.ttft));
  prompt_tokens_.add(outcome.prompt_tokens);
  cached_tokens_.add(outcome.cached_tokens);
  completion_tokens_.add(outcome.completion_tokens);
  kv_bytes_.add(static_cast<double>(outcome.kv_bytes));
  // Of a failed transfer the worker counts them; of a failed leg it does not know.
  if (!outcome.prefill_error.empty()) recomputed_tokens_.add(outcome.kv_recomputed_tokens);
}

void Service::record(const net::Request& request, TimePoint arrived, RequestFacts facts, const Outcome& outcome) {
  if (request_log_ == nullptr || !dispatch::generates(request.path())) return;
  const auto header = [&request](std::string_view name) { return request.headers.get(name); };
  std::string fairness = routing::fairness_id_of(header, {});
  if (fairness == flow::kDefaultFairnessId) fairness.clear();  // not told
  request_log_->add({.arrived = arrived,
                     .facts = std::move(facts),
                     .session = routing::session_id_of(header),
                     .fairness = std::move(fairness),
                     .outcome = outcome});
}

Task<int> Service::refuse(Error error, const Caller& caller, net::Exchange& exchange) {
  plane_->router().refuse(caller.request_id, error);
  co_return co_await answer_error(std::move(error), caller, exchange);
}

Task<int> Service::answer_error(Error error, const Caller& caller, net::Exchange& exchange, std::string_view allow) {
  net::Headers headers;
  if (!allow.empty()) headers.add("Allow", std::string{allow});
  co_return co_await answer_error_with(std::move(error), caller, exchange, std::move(headers));
}

Task<int> Service::answer_error_with(Error error, const Caller& caller, net::Exchange& exchange, net::Headers headers) {
  openai::ErrorAnswer rendered = api::render_error(caller.dialect, error);
  net::Response response{.status = rendered.status, .headers = std::move(headers), .body = std::move(rendered.json)};
  response.headers.add("Content-Type", "application/json");
  response.headers.add("x-request-id", caller.request_id);
  if (rendered.retry_after_s && !response.headers.get("retry-after"))
    response.headers.add("Retry-After", std::to_string(*rendered.retry_after_s));
  if (error.code == ErrorCode::kInvalidApiKey) response.headers.add("WWW-Authenticate", "Bearer");
  const int status = response.status;
  (void)co_await exchange.respond(std::move(response));
  co_return status;
}

Task<void> Service::answer_json(int status, std::string json, const Caller& caller, net::Exchange& exchange) {
  net::Response response{.status = status, .headers = {}, .body = std::move(json)};
  response.headers.add("Content-Type", "application/json");
  response.headers.add("x-request-id", caller.request_id);
  (void)co_await exchange.respond(std::move(response));
}

}  // namespace llmd::gateway
