// A chat's answer asked for in pieces.
#include <fmt/format.h>

#include <utility>

#include "api/openai/body_edits.h"
#include "apps/sidecar/call.h"
#include "apps/sidecar/chunks.h"
#include "apps/sidecar/error_answer.h"
#include "net/hop_by_hop.h"

namespace llmd::sidecar {

Task<bool> Call::decode_in_chunks() {
  const auto plan = plan_chunks(body_, options().decode_chunk_size);
  // What is wrong with the body is the engine's to say.
  if (!plan || !*plan) co_return false;
  ChunkedAnswer chunks{body_, **plan};
  if (cached_tokens_) chunks.set_cached_tokens(*cached_tokens_);
  const bool streams = (*plan)->streams;
  const bool done = co_await take_chunks(chunks, streams);
  if (left_ || (done && !chunks.complete())) co_return true;
  if (!done) {
    // The KV that the field names has been taken; the engine has it.
    auto again = openai::edited(body_, {pd::remove_field(pd::kTransferField)});
    if (again) body_ = *std::move(again);
    co_return false;
  }
  auto rest = streams ? chunks.last_events() : chunks.whole();
  if (!streams) {
    net::Response whole;
    if (rest) {
      whole.headers.add("Content-Type", "application/json");
      whole.body = *std::move(rest);
    } else {
      whole = error_answer(502, rest.error().what);
    }
    co_await answer(std::move(whole));
    co_return true;
  }
  if (!rest) co_return true;
  const auto written = co_await exchange_.write(*rest);
  if (written) {
    const auto finished = co_await exchange_.finish();
    if (finished) co_return true;
  }
  client_left();
  co_return true;
}

/// True: all pieces are there, or the client has been answered, or has left.
Task<bool> Call::take_chunks(ChunkedAnswer& chunks, bool streams) {
  while (!chunks.complete()) {
    auto body = chunks.next_request();
    if (!body) {
      co_await end_cut_stream(body.error().what);
      co_return true;
    }
    LegRequest request{.client = &context_.decoder,
                       .address = context_.engine(plan_.rank.value_or(rank_)),
                       .method = request_.method,
                       .target = request_.target,
                       .headers = engine_headers(),
                       .body = *std::move(body),
                       .answer_bytes_max = options().held_answer_bytes_max,
                       .timeout = options().answer_timeout};
    leg_ = std::make_shared<Leg>(context_.loop, std::move(request));
    auto end = co_await leg_->run();
    leg_.reset();
    if (left_) co_return true;
    if (!end && !sent_) {
      co_await answer_engine_failure(end.error());
      co_return true;
    }
    const bool full = end && end->status == 400 && chunks.end_by_length();
    if (!full && end && !end->succeeded() && !sent_) {
      net::Response said;
      said.status = end->status;
      said.headers = net::end_to_end(end->headers);
      said.body = std::move(end->body);
      co_await answer(std::move(said));
      co_return true;
    }
    if (!full && (!end || !end->succeeded())) {
      co_await end_cut_stream("the engine failed before the answer was complete");
      co_return true;
    }
    Result<void> taken{};
    if (!full) taken = chunks.take(std::move(end->body));
    if (!taken && taken.error().code == ErrorCode::kUnsupported) co_return false;
    Result<std::string> event = std::string{};
    if (taken && streams) event = chunks.event();
    if (!taken || !event) {
      co_await end_cut_stream(taken ? event.error().what : taken.error().what);
      co_return true;
    }
    if (!streams) continue;
    if (!std::exchange(sent_, true)) {
      net::Headers headers;
      headers.add("Content-Type", "text/event-stream");
      headers.add("Cache-Control", "no-cache");
      const auto started = co_await exchange_.start(200, std::move(headers));
      if (!started) client_left();
    }
    if (left_) co_return true;
    const auto written = co_await exchange_.write(*event);
    if (!written) client_left();
    if (left_) co_return true;
  }
  co_return true;
}

/// The client gets no more: an error if nothing was sent, else an event with one and no [DONE].
Task<void> Call::end_cut_stream(std::string message) {
  net::Response error = error_answer(502, message);
  if (!sent_) {
    co_await answer(std::move(error));
    co_return;
  }
  const std::string event = fmt::format("data: {{\"error\":{}}}\n\n", error.body);
  const auto written = co_await exchange_.write(event);
  if (written) {
    const auto finished = co_await exchange_.finish();
    if (finished) co_return;
  }
  client_left();
}

}  // namespace llmd::sidecar
