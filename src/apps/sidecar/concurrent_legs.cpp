// Both legs at once: the engines meet by themselves. If the prefill leg fails before the client has been sent anything,
// the decode leg, which would wait in vain, is given up.
#include <fmt/format.h>

#include <utility>

#include "api/openai/body_edits.h"
#include "api/openai/upstream_error.h"
#include "apps/sidecar/call.h"
#include "apps/sidecar/partner.h"
#include "net/hop_by_hop.h"
#include "telemetry/log.h"

namespace llmd::sidecar {

Task<void> Call::both_legs(TwoBodies bodies) {
  chunkable_ = false;
  auto first = openai::edited(body_, bodies.prefill_edits);
  auto second = openai::edited(body_, bodies.decode_edits);
  if (!first || !second) {
    co_await answer(400, first ? second.error().what : first.error().what);
    co_return;
  }
  const auto partner = std::make_shared<Partner>(context_, prefill_request(*std::move(first), bodies.prefill_rank));
  if (options().connector == pd::Connector::kMooncake) partner->pod = plan_.prefill->to_string();
  partner_ = partner;
  decode_rank_ = bodies.decode_rank;
  context_.loop.spawn(Partner::run(partner));
  const bool answered = co_await decode_with(*partner, *std::move(second), bodies.commits_late);
  partner->on_failure = nullptr;
  partner_ = nullptr;
  if (left_) partner->give_up();
  if (answered || left_) co_return;
  decode_rank_.clear();
  co_await go_on_without(*partner, bodies.prefill_edits);
}

/// True: the client has its answer, or has left. False: the prefill leg failed, and nothing was sent.
Task<bool> Call::decode_with(Partner& partner, std::string body, bool commits_late) {
  net::CancelToken cancel;
  partner.on_failure = [this, &cancel] {
    if (!sent_) cancel.cancel();
  };
  auto response = co_await ask_engine(body, cancel);
  Result<std::string_view> piece = std::string_view{};
  if (response && (*response)->status() < 300) piece = co_await (*response)->read();
  if (response && piece && commits_late && !left_ && (*response)->status() < 300) {
    const bool ended = co_await partner.done.wait_until(SteadyClock::now() + options().moriio.decode_wait);
    if (!ended) {
      metrics().prefill_failures.add();
      partner.give_up();
      partner.end.emplace(
          fail(ErrorCode::kDeadlineExceeded, "the prefill leg took longer than the decode leg may wait"));
    }
  }
  engine_ = nullptr;
  partner.on_failure = nullptr;
  if (left_) co_return true;
  const bool answers = response && piece && (*response)->status() < 300 && !commits_late;
  if (partner.failed() && !answers) co_return false;
  engine_ = &cancel;
  if (!response || !piece) {
    partner.give_up();
    co_await answer_engine_failure(response ? piece.error() : response.error());
  } else if ((*response)->status() >= 300) {
    partner.give_up();
    co_await relay(**response, {});
  } else {
    const Begun begun{.bytes = *piece, .ended = piece->empty()};
    co_await relay(**response, begun);
  }
  engine_ = nullptr;
  co_return true;
}

Task<void> Call::go_on_without(Partner& partner, const pd::FieldEdits& prefill_edits) {
  const Result<LegAnswer>& end = *partner.end;
  const bool refuses = end && openai::refuses_request(end->status, end->body, prefill_edits);
  const bool local = pd::prefills_locally(options().connector);
  if (end && (refuses || (!local && end->status >= 400))) {
    net::Response verdict;
    verdict.status = end->status;
    verdict.headers = net::end_to_end(end->headers);
    verdict.body = end->body;
    co_await answer(std::move(verdict));
  } else if (local) {
    metrics().local_prefills.add();
    co_await decode();
  } else if (!end && end.error().code == ErrorCode::kDeadlineExceeded) {
    co_await answer(504, "the prefill endpoint did not answer in time");
  } else {
    co_await answer(502, "the prefill endpoint failed");
  }
}

}  // namespace llmd::sidecar
