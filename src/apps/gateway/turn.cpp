#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "apps/gateway/service.h"
#include "dispatch/dispatcher.h"
#include "routing/fairness_id.h"

namespace llmd::gateway {
namespace {

constexpr float kTtftMsMax = 86'400'000;  // a day; what lies beyond is no objective

}  // namespace

// The status that the client saw, if the request may not go.
Task<std::optional<int>> Service::wait_for_turn(Turn& turn, net::Request& request, net::Exchange& exchange) {
  // Without flow control only what may be shed is looked at.
  if (!flow_->enabled() && turn.fields.priority >= 0) co_return std::nullopt;
  const TimePoint now = SteadyClock::now();
  const auto header = [&request](std::string_view name) { return request.headers.get(name); };
  const routing::RouteRequest asked{.request_id = turn.request_id,
                                    .model = turn.model,
                                    .fields = turn.fields,
                                    .prompts = turn.prompts,
                                    .header = header};
  const routing::Work& work = turn.work.emplace(router_->measure(asked, context_of(exchange.loop()).scratch, now));
  routing::FlowRequest wanted{.fairness_id = routing::fairness_id_of(header, *flow_->session_headers()),
                              .model = turn.model,
                              .priority = turn.fields.priority,
                              .bytes = request.body.size(),
                              .prompt_tokens = work.facts.prompt_tokens,
                              .uncached_tokens = work.uncached_tokens,
                              .received = turn.received};
  if (const auto ttft_ms = work.facts.slo_ttft_ms) {
    wanted.ttft_objective =
        std::chrono::duration_cast<Duration>(std::chrono::duration<float, std::milli>(std::min(*ttft_ms, kTtftMsMax)));
  }
  turn.pass = flow_->enter(exchange.loop(), std::move(wanted));
  exchange.on_disconnect([pass = turn.pass] { pass->cancel(); });
  const flow::Outcome outcome = co_await turn.pass->outcome();
  exchange.on_disconnect(nullptr);
  if (outcome == flow::Outcome::kDispatched) co_return std::nullopt;
  const int status = co_await refuse_turn(*turn.pass, turn.request_id, exchange);
  co_return status;
}

void Service::follow(routing::FlowPass& pass, dispatch::DispatchRequest& sent, dispatch::Revocation& revocation) {
  sent.revocation = &revocation;
  sent.counted = [&pass] { pass.decided(); };
  pass.on_evict([&revocation] { revocation.ask(); });
}

Task<int> Service::refuse_turn(const routing::FlowPass& pass, const std::string& request_id, net::Exchange& exchange) {
  Error error = pass.error();
  router_->refuse(request_id, error);
  net::Headers headers;
  if (const auto reason = pass.dropped_reason(); !reason.empty())
    headers.add(std::string{dispatch::kDroppedReasonHeader}, std::string{reason});
  headers.add("Retry-After", std::to_string(pass.retry_after_s()));
  co_return co_await answer_error_with(std::move(error), request_id, exchange, std::move(headers));
}

}  // namespace llmd::gateway
