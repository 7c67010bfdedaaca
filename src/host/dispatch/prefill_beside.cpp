#include "dispatch/prefill_beside.h"

#include <fmt/format.h>

#include <utility>

#include "telemetry/log.h"

namespace llmd::dispatch {
namespace {

constexpr std::size_t kAnswerBytesMax = 4 * 1024 * 1024;

}  // namespace

PrefillBeside::PrefillBeside(DispatchContext& context, Leg leg, pool::InFlight in_flight)
    : context_{context},
      leg_{std::move(leg)},
      in_flight_{std::move(in_flight)},
      deadline_{context.loop.executor(), [this] {
                  timed_out_ = true;
                  token_.cancel();
                }} {}

std::shared_ptr<PrefillBeside> PrefillBeside::start(DispatchContext& context, Leg leg, pool::InFlight in_flight) {
  auto made = std::make_shared<PrefillBeside>(context, std::move(leg), std::move(in_flight));
  context.loop.spawn(run(made));
  return made;
}

void PrefillBeside::cancel() {
  cancelled_ = true;
  token_.cancel();
}

Task<void> PrefillBeside::run(std::shared_ptr<PrefillBeside> self) {
  Leg& leg = self->leg_;
  self->deadline_.set(SteadyClock::now() + self->context_.options.request_timeout);
  auto response = co_await self->context_.client.send(
      leg.address, {.method = leg.method, .target = leg.target, .headers = &leg.headers, .body = leg.body},
      &self->token_);
  if (!response) {
    const bool refused = response.error().code == ErrorCode::kConnectionRefused;
    self->fail_with(response.error(), refused ? health::FailureKind::kConnect : health::FailureKind::kCutStream);
    co_return;
  }
  const int status = (*response)->status();
  const auto answer = co_await (*response)->read_all(kAnswerBytesMax);
  self->deadline_.clear();
  if (status < 200 || status > 299) {
    std::optional<health::FailureKind> blame;
    if (status >= 500 && status != 503) blame = health::FailureKind::kServerError;
    self->fail_with({.code = ErrorCode::kUpstreamFailed, .what = fmt::format("it answered {}", status)}, blame);
    co_return;
  }
  // A stream that is longer than that is no failure: its prompt is computed.
  if (!answer && answer.error().code != ErrorCode::kBodyTooLarge) {
    self->fail_with(answer.error(), health::FailureKind::kCutStream);
    co_return;
  }
  self->in_flight_.prompt_computed(SteadyClock::now());
  self->in_flight_.end();
  self->context_.pool.on_request_success(leg.endpoint, SteadyClock::now());
}

void PrefillBeside::fail_with(Error error, std::optional<health::FailureKind> blame) {
  deadline_.clear();
  in_flight_.end();
  if (cancelled_) return;
  if (timed_out_) {
    error = {.code = ErrorCode::kDeadlineExceeded, .what = "it did not answer within the time for a request"};
    blame = health::FailureKind::kTimeout;
  }
  if (blame) context_.pool.on_request_failure(leg_.endpoint, *blame, SteadyClock::now());
  context_.prefill_failures.add();
  log::warn("{} could not prefill: {}", leg_.endpoint, error.to_string());
  failure_ = std::move(error);
  if (const auto callback = std::exchange(on_failure_, nullptr)) callback();
}

}  // namespace llmd::dispatch
