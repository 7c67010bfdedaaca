#include <string>
#include <utility>

#include "apps/gateway/service.h"
#include "dispatch/dispatcher.h"
#include "routing/flow_request.h"

namespace llmd::gateway {
// The status that the client saw, if the request may not go.
Task<std::optional<int>> Service::wait_for_turn(Turn& turn, net::Request& request, net::Exchange& exchange) {
  // Without flow control only what may be shed is looked at.
  if (!plane_->flow().enabled() && turn.fields.priority >= 0) co_return std::nullopt;
  const TimePoint now = SteadyClock::now();
  const auto header = [&request](std::string_view name) { return request.headers.get(name); };
  const routing::RouteRequest asked{.request_id = turn.caller.request_id,
                                    .model = turn.model,
                                    .fields = turn.fields,
                                    .prompts = turn.prompts,
                                    .header = header};
  const routing::Work& work =
      turn.work.emplace(plane_->router().measure(asked, context_of(exchange.loop()).scratch, now));
  turn.pass = plane_->flow().enter(
      exchange.loop(),
      routing::make_flow_request(asked, turn.model, work, request.body.size(), turn.received, plane_->flow()));
  exchange.on_disconnect([pass = turn.pass] { pass->cancel(); });
  const flow::Outcome outcome = co_await turn.pass->outcome();
  exchange.on_disconnect(nullptr);
  if (outcome == flow::Outcome::kDispatched) co_return std::nullopt;
  const int status = co_await refuse_turn(*turn.pass, turn.caller, exchange);
  co_return status;
}

void Service::follow(routing::FlowPass& pass, dispatch::DispatchRequest& sent, dispatch::Revocation& revocation) {
  sent.revocation = &revocation;
  sent.counted = [&pass] { pass.decided(); };
  pass.on_evict([&revocation] { revocation.ask(); });
}

Task<int> Service::refuse_turn(const routing::FlowPass& pass, const Caller& caller, net::Exchange& exchange) {
  Error error = pass.error();
  plane_->router().refuse(caller.request_id, error);
  net::Headers headers;
  if (const auto reason = pass.dropped_reason(); !reason.empty())
    headers.add(std::string{dispatch::kDroppedReasonHeader}, std::string{reason});
  headers.add("Retry-After", std::to_string(pass.retry_after_s()));
  co_return co_await answer_error_with(std::move(error), caller, exchange, std::move(headers));
}

}  // namespace llmd::gateway
