// The engine beside the sidecar, and its answer on the way to the client.
#include <fmt/format.h>

#include <utility>

#include "apps/sidecar/call.h"
#include "net/hop_by_hop.h"
#include "pd/mooncake.h"
#include "telemetry/log.h"

namespace llmd::sidecar {
namespace {

constexpr std::string_view kNotReady =
    "the engine beside this sidecar is not ready: nothing listens at --model-server-port";

bool is_event_stream(const net::ClientResponse& response) {
  return response.headers().get("content-type").value_or("").starts_with("text/event-stream");
}

net::Headers head_of(const net::ClientResponse& response) { return net::end_to_end(response.headers()); }

}  // namespace

net::Headers Call::engine_headers() const {
  net::Headers headers = plan_.headers;
  if (reads_answer_ || chunkable_) headers.remove("accept-encoding");
  if (!decode_rank_.empty()) headers.set(pd::kRankHeader, decode_rank_);
  return headers;
}

Task<Result<std::unique_ptr<net::ClientResponse>>> Call::ask_engine(std::string_view body, net::CancelToken& cancel) {
  const net::Headers headers = engine_headers();
  const net::Address engine = context_.engine(plan_.rank.value_or(rank_));
  engine_ = &cancel;
  auto response = co_await context_.decoder.send(
      engine, {.method = request_.method, .target = request_.target, .headers = &headers, .body = body}, &cancel);
  co_return response;
}

Task<void> Call::decode() {
  chunkable_ = chunkable_ && options().decode_chunk_size > 0 && path_ == "/v1/chat/completions";
  if (chunkable_) {
    const bool done = co_await decode_in_chunks();
    if (done) co_return;
  }
  net::CancelToken cancel;
  auto response = co_await ask_engine(body_, cancel);
  if (!response) {
    co_await answer_engine_failure(response.error());
  } else {
    co_await relay(**response, {});
  }
  engine_ = nullptr;
}

Task<void> Call::relay(net::ClientResponse& response, Begun begun) {
  if (cached_tokens_ && response.status() < 300) {
    co_await relay_counted(response, begun);
    co_return;
  }
  net::Headers headers = head_of(response);
  if (const auto length = response.headers().get("content-length")) headers.add("Content-Length", std::string{*length});
  sent_ = true;
  const auto started = co_await exchange_.start(response.status(), std::move(headers));
  if (!started) {
    client_left();
    co_return;
  }
  co_await pump(response, begun, nullptr);
}

Task<void> Call::relay_counted(net::ClientResponse& response, Begun begun) {
  CachedTokensStream counts{*cached_tokens_};
  std::string held{begun.bytes};
  const bool streams = is_event_stream(response);
  while (!streams && !begun.ended && held.size() <= options().held_answer_bytes_max) {
    const auto piece = co_await response.read();
    if (!piece) {
      co_await answer_engine_failure(piece.error());
      co_return;
    }
    held += *piece;
    begun.ended = piece->empty();
  }
  net::Headers headers = head_of(response);
  if (!streams && begun.ended) {
    net::Response whole;
    whole.status = response.status();
    whole.headers = std::move(headers);
    whole.body = with_cached_tokens(held, *cached_tokens_);
    co_await answer(std::move(whole));
    co_return;
  }
  sent_ = true;
  const auto started = co_await exchange_.start(response.status(), std::move(headers));
  if (!started) {
    client_left();
    co_return;
  }
  const Begun held_back{.bytes = held, .ended = begun.ended};
  CachedTokensStream* const rewriter = streams ? &counts : nullptr;
  co_await pump(response, held_back, rewriter);
}

Task<void> Call::pump(net::ClientResponse& response, Begun begun, CachedTokensStream* counts) {
  std::string_view next = begun.bytes;
  bool ended = begun.ended;
  while (true) {
    if (counts != nullptr) next = counts->feed(next);
    if (!next.empty()) {
      const auto written = co_await exchange_.write(next);
      if (!written) break;
    }
    if (ended) {
      if (counts != nullptr) {
        const auto written = co_await exchange_.write(counts->finish());
        if (!written) break;
      }
      const auto finished = co_await exchange_.finish();
      if (finished) co_return;
      break;
    }
    const auto piece = co_await response.read();
    if (!piece) {
      // Without finish() the server closes the connection, by which the client sees that the answer is cut.
      if (!left_) note_engine_failure(piece.error());
      co_return;
    }
    next = *piece;
    ended = piece->empty();
  }
  client_left();
}

void Call::note_engine_failure(const Error& error) {
  const bool refused = error.code == ErrorCode::kConnectionRefused;
  const bool slow = error.code == ErrorCode::kDeadlineExceeded;
  (refused ? metrics().engine_refused : slow ? metrics().engine_timeouts : metrics().engine_cut).add();
  log::write(log::Level::kWarn, plan_.request_id, fmt::format("the engine failed: {}", error.to_string()));
}

Task<void> Call::answer_engine_failure(Error error) {
  if (left_) co_return;
  note_engine_failure(error);
  if (error.code == ErrorCode::kConnectionRefused) {
    co_await answer(503, std::string{kNotReady});
  } else if (error.code == ErrorCode::kDeadlineExceeded) {
    co_await answer(504, "the engine did not answer in time");
  } else {
    co_await answer(502, "the engine's answer was cut");
  }
}

}  // namespace llmd::sidecar
