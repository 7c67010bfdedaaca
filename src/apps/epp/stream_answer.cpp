// The half of a stream that is about the answer.
#include <algorithm>
#include <charconv>

#include "apps/epp/protocol_headers.h"
#include "apps/epp/stream.h"
#include "routing/subset.h"

namespace llmd::epp {
namespace {

using rpc::ext_proc::HeadersReply;

constexpr std::size_t kPieceBytesMax = 62'000;
constexpr std::size_t kHeldBytesMax = std::size_t{4} << 20U;  // of an answer that is no stream; then it is passed on
constexpr Duration kClockGrain = std::chrono::microseconds{1};

int status_of_head(const rpc::ext_proc::ProcessingRequest& head) {
  auto text = head.header(":status");
  if (!text) text = head.header("status");  // as llm-d's tests name it
  int status = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), status);
  return status;
}

}  // namespace

Task<Stream::Next> Stream::take_answer_headers() {
  answering_ = true;
  status_ = status_of_head(part_);
  from_upstream_ = part_.header("x-envoy-upstream-service-time").has_value();
  const auto type = part_.header("content-type");
  streaming_ = streaming_ || (type && type->find("text/event-stream") != std::string_view::npos);
  if (!part_.served.empty()) note_served(part_.served);
  HeadersReply reply{.of_response = true};
  reply.set_headers.emplace_back("x-went-into-resp-headers", "true");
  for (const auto& [name, value] : part_.headers) {
    const auto same = [&](const auto& each) { return each.first == name; };
    if (!is_system_owned(name) && std::ranges::count_if(part_.headers, same) == 1)
      reply.set_headers.emplace_back(name, value);
  }
  std::vector<Header> added;
  if (route_) added = context_.plane.router().answer_headers(*route_, *route_->decision.decode);
  for (const auto& [name, value] : added) reply.set_headers.emplace_back(name, value);
  const bool last = part_.end_of_stream;
  const Next sent = co_await send(headers_message(reply));
  if (sent && last) finish(/*complete=*/true);
  co_return sent;
}

/// The proxy fell back to another endpoint than the first that it was told: what is known of the request moves there.
void Stream::note_served(std::string_view address) {
  if (!route_ || address == routing::authority_of(*route_->decision.decode)) return;
  const auto& others = route_->decision.decode_fallbacks;
  const auto found =
      std::ranges::find_if(others, [&](const auto& endpoint) { return routing::authority_of(*endpoint) == address; });
  if (found == others.end()) return;
  const TimePoint now = SteadyClock::now();
  pool::Pool& pool = context_.plane.pool();
  context_.metrics.misled.add();
  pool.on_request_failure(route_->decision.decode->name, health::FailureKind::kConnect, now);
  route_->decision.decode = *found;
  route_->decision.latency.known = false;
  route_->decision.latency.cached = 0;
  in_flight_ = pool.begin_request((*found)->name,
                                  {.prompt = route_->load_tokens,
                                   .output = route_->output_load_tokens,
                                   .prefill = route_->load_tokens,
                                   .context = route_->facts.prompt_tokens},
                                  now);
  context_.plane.router().remember(*route_, now);
}

void Stream::note_answer_piece(std::string_view piece) {
  if (piece.empty()) return;
  tail_.feed(piece);
  if (first_byte_ != TimePoint{} || !route_) return;
  first_byte_ = SteadyClock::now();
  in_flight_.prompt_computed(first_byte_);
  prefilling_.end();
  context_.plane.pool().on_first_byte(route_->decision.decode->name, first_byte_);
}

Task<Stream::Next> Stream::take_answer_body() {
  const bool last = part_.end_of_stream;
  note_answer_piece(part_.body);
  if (last) finish(/*complete=*/true);
  if (answer_mode_ != BodyMode::kFullDuplex && answer_mode_ != BodyMode::kNotTold) {
    HeadersReply reply{.of_response = true};
    co_return co_await send(held_body_message(reply, std::nullopt));
  }
  if (streaming_ || passing_on_) {
    net::H2Bytes piece{.owner = message_, .bytes = part_.body};
    co_return co_await send(rpc::ext_proc::body_message(/*of_response=*/true, std::move(piece), last));
  }
  answer_.append(part_.body);
  if (!last && answer_.size() <= kHeldBytesMax) co_return true;
  passing_on_ = !last;
  co_return co_await send_held_answer(last);
}

Task<Stream::Next> Stream::send_held_answer(bool last) {
  const auto whole = std::make_shared<const std::string>(std::exchange(answer_, {}));
  std::size_t at = 0;
  do {
    const std::size_t bytes = std::min(kPieceBytesMax, whole->size() - at);
    net::H2Bytes piece{.owner = whole, .bytes = std::string_view{*whole}.substr(at, bytes)};
    at += bytes;
    const Next sent =
        co_await send(rpc::ext_proc::body_message(/*of_response=*/true, std::move(piece), last && at == whole->size()));
    if (!sent) co_return sent;
  } while (at < whole->size());
  co_return true;
}

Task<Stream::Next> Stream::take_answer_trailers() {
  if (!answer_.empty()) {
    const Next sent = co_await send_held_answer(/*last=*/false);
    if (!sent) co_return sent;
  }
  finish(/*complete=*/true);
  co_return co_await send(rpc::ext_proc::trailers_message(/*of_response=*/true));
}

void Stream::finish(bool complete) {
  if (std::exchange(finished_, true) || !route_) return;
  const TimePoint now = SteadyClock::now();
  const std::string& endpoint = route_->decision.decode->name;
  Outcome outcome{.request_id = request_id_, .endpoint = endpoint, .status = status_};
  if (route_->decision.prefill != nullptr) outcome.prefill_endpoint = route_->decision.prefill->name;
  outcome.cancelled = !complete;
  outcome.total = now - sent_at_;
  if (first_byte_ != TimePoint{}) outcome.ttft = std::max<Duration>(first_byte_ - sent_at_, kClockGrain);
  if (complete && streaming_) outcome.streamed = now - first_byte_;
  if (const auto usage = tail_.usage()) {
    outcome.prompt_tokens = usage->prompt_tokens;
    outcome.cached_tokens = usage->cached_tokens;
    outcome.completion_tokens = usage->completion_tokens;
  } else if (streaming_) {
    outcome.completion_tokens = tail_.events();
    if (route_->facts.prompt_tokens_exact) outcome.prompt_tokens = route_->facts.prompt_tokens;
  }
  pool::Pool& pool = context_.plane.pool();
  // The proxy's own 503 or 504 tells that the endpoint could not be reached; one of the endpoint's may mean "no room".
  const bool unreached = complete && !from_upstream_ && (status_ == 503 || status_ == 504);
  outcome.endpoint_failed = complete && (unreached || (status_ >= 500 && status_ != 503));
  if (outcome.endpoint_failed) {
    pool.on_request_failure(endpoint, unreached ? health::FailureKind::kConnect : health::FailureKind::kServerError,
                            now);
  } else if (complete && status_ < 500) {
    pool.on_request_success(endpoint, now);
  }
  in_flight_.end();
  prefilling_.end();
  if (pass_ != nullptr) {
    pass_->on_evict({});
    pass_->finish(outcome.completion_tokens);
  }
  context_.plane.router().finish(*route_, outcome, now);
}

}  // namespace llmd::epp
