#include "apps/worker/answer_builder.h"

#include <utility>
#include <vector>

#include "apps/worker/request_timing.h"
#include "telemetry/log.h"

namespace llmd::worker {

std::optional<Error> failure_of(const SequenceEvent& event) {
  if (event.finish == FinishReason::kCancelled)
    return Error{.code = ErrorCode::kShuttingDown, .what = "this worker is shutting down"};
  if (event.finish != FinishReason::kError) return std::nullopt;
  return event.error.value_or(
      Error{.code = ErrorCode::kInternal, .what = "the engine ended the sequence without a reason"});
}

Task<void> stream_answer(Service& service, Call& call, Generation& generation, AnswerBuilder& builder,
                         AnswerPlan plan) {
  RequestTiming timing{call, plan};
  std::string out;
  bool started = false;
  while (true) {
    Result<std::vector<Generation::Item>> items = co_await generation.next(service.deadline(call));
    std::optional<Error> failure;
    if (!items) failure = std::move(items).error();
    if (!failure && items->empty()) break;
    out.clear();
    for (std::size_t i = 0; !failure && i < items->size(); ++i) {
      Generation::Item& item = (*items)[i];
      timing.on_event(item.index, item.event);
      failure = failure_of(item.event);
      if (!failure) builder.append_events(item.index, std::move(item.event), out);
    }
    if (!out.empty() && !started) {
      started = true;
      const Result<void> head = co_await call.start_events();
      if (!head) co_return;
    }
    if (!out.empty()) {
      const Result<void> written = co_await call.exchange().write(out);
      if (!written) co_return;
    }
    if (failure) {
      timing.on_failure();
      if (started) {
        out.clear();
        builder.append_error(out, *failure);
        co_await call.end_with_error(*std::move(failure), std::move(out));
      } else {
        co_await call.respond_error(*std::move(failure));
      }
      co_return;
    }
  }
  out.clear();
  builder.append_end(out, timing.usage());
  timing.on_end();
  const Result<void> written = co_await call.exchange().write(out);
  if (!written) co_return;
  const Result<void> finished = co_await call.exchange().finish();
  if (!finished) log::write(log::Level::kDebug, call.id(), finished.error().to_string());
}

Task<void> whole_answer(Service& service, Call& call, Generation& generation, AnswerBuilder& builder, AnswerPlan plan) {
  RequestTiming timing{call, plan};
  while (true) {
    Result<std::vector<Generation::Item>> items = co_await generation.next(service.deadline(call));
    std::optional<Error> failure;
    if (!items) failure = std::move(items).error();
    if (!failure && items->empty()) break;
    for (std::size_t i = 0; !failure && i < items->size(); ++i) {
      Generation::Item& item = (*items)[i];
      timing.on_event(item.index, item.event);
      failure = failure_of(item.event);
      if (!failure) builder.collect(item.index, std::move(item.event));
    }
    if (failure) {
      timing.on_failure();
      co_await call.respond_error(*std::move(failure));
      co_return;
    }
  }
  timing.on_end();
  const openai::KvTransferParams* kept = plan.keep_blocks ? plan.keep_blocks() : nullptr;
  std::string json = builder.whole(timing.usage(), kept);
  co_await call.respond_json(200, std::move(json));
}

}  // namespace llmd::worker
