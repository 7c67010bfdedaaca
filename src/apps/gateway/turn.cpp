#include <string>
#include <utility>

#include "apps/gateway/service.h"
#include "dispatch/dispatcher.h"
#include "routing/flow_request.h"

namespace llmd::gateway {
// The status that the client saw, if the request may not go.
Task<std::optional<int>> Service::wait_for_turn(Turn& turn, net::Request& request, net::Exchange& exchange) {
  routing::Plane& plane = *turn.pool.plane;
  const openai::RoutingFields& fields = turn.errand.fields;
  // Without flow control only what may be shed is looked at.
  if (!plane.flow().enabled() && fields.priority >= 0) co_return std::nullopt;
  const TimePoint now = SteadyClock::now();
  const auto header = [&request](std::string_view name) { return request.headers.get(name); };
  const routing::RouteRequest asked{.request_id = turn.caller.request_id,
                                    .model = turn.model,
                                    .fields = fields,
                                    .prompts = turn.tokens.prompts,
                                    .header = header};
  const routing::Work& work =
      turn.work.emplace(plane.router().measure(asked, context_of(exchange.loop()).scratch, now));
  const std::string& shown = turn.errand.routed.shown.empty() ? turn.model : turn.errand.routed.shown;
  turn.pass = plane.flow().enter(exchange.loop(), routing::make_flow_request(asked, shown, work, request.body.size(),
                                                                             turn.errand.received, plane.flow()));
  exchange.on_disconnect([pass = turn.pass] { pass->cancel(); });
  const flow::Outcome outcome = co_await turn.pass->outcome();
  exchange.on_disconnect(nullptr);
  if (outcome == flow::Outcome::kDispatched) co_return std::nullopt;
  const int status = co_await refuse_turn(turn, exchange);
  co_return status;
}

void Service::follow(routing::FlowPass& pass, dispatch::DispatchRequest& sent, dispatch::Revocation& revocation) {
  sent.revocation = &revocation;
  sent.counted = [&pass] { pass.decided(); };
  pass.on_evict([&revocation] { revocation.ask(); });
}

Task<int> Service::refuse_turn(const Turn& turn, net::Exchange& exchange) {
  const routing::FlowPass& pass = *turn.pass;
  Error error = pass.error();
  turn.pool.plane->router().refuse(turn.caller.request_id, error);
  net::Headers headers;
  if (const auto reason = pass.dropped_reason(); !reason.empty())
    headers.add(std::string{dispatch::kDroppedReasonHeader}, std::string{reason});
  headers.add("Retry-After", std::to_string(pass.retry_after_s()));
  co_return co_await answer_error_with(std::move(error), turn.caller, exchange, std::move(headers));
}

}  // namespace llmd::gateway
