// The half of a stream that is about the answer.
#include <algorithm>
#include <charconv>

#include "apps/epp/protocol_headers.h"
#include "apps/epp/stream.h"
#include "reporting/attribute_reporter.h"
#include "reporting/served_endpoint.h"
#include "routing/subset.h"

namespace llmd::epp {
namespace {

using rpc::ext_proc::HeadersReply;

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
  if (rewritten_) {
    using Form = api::AnswerModelRewriter::Form;
    rewriter_.emplace(streaming_ ? Form::kEvents : Form::kJson, model_);
  }
  if (told_ && status_ != 0 && status_ != 200) told_->request_error("ModelServerError");
  HeadersReply reply{.of_response = true};
  reply.set_headers.emplace_back("x-went-into-resp-headers", "true");
  for (const auto& [name, value] : part_.headers) {
    if (!is_system_owned(name) && part_.has_one(name)) reply.set_headers.emplace_back(name, value);
  }
  std::vector<Header> added;
  if (route_) added = context_.plane.router().answer_headers(*route_, *route_->decision.decode);
  if (plan_ != nullptr && plan_->shows_served_endpoint()) {
    reporting::ServedMetadata served{.has_namespace = part_.has_lb_metadata};
    if (!part_.served.empty()) served.endpoint = part_.served;
    added.emplace_back(reporting::kServedEndpointHeader, reporting::served_endpoint_report(served));
  }
  for (const auto& [name, value] : added) reply.set_headers.emplace_back(name, value);
  const bool last = part_.end_of_stream;
  const Next sent = co_await send(headers_message(reply));
  if (sent && last) finish(/*complete=*/true);
  co_return sent;
}

/// The proxy fell back to another endpoint than the first that it was told: what is known of the request moves there.
void Stream::note_served(std::string_view address) {
  if (!route_ || named_.empty() || address == named_.front().first) return;
  const auto found = std::ranges::find_if(named_, [&](const auto& each) { return each.first == address; });
  if (found == named_.end()) return;
  const auto& [name, endpoint] = *found;
  const TimePoint now = SteadyClock::now();
  pool::Pool& pool = context_.plane.pool();
  context_.metrics.misled.add();
  pool.on_request_failure(route_->decision.decode->name, health::FailureKind::kConnect, now);
  route_->decision.decode = endpoint;
  route_->decision.latency.known = false;
  route_->decision.latency.cached = 0;
  in_flight_ = pool.begin_request(endpoint->name,
                                  {.prompt = route_->load_tokens,
                                   .output = route_->output_load_tokens,
                                   .prefill = route_->load_tokens,
                                   .context = route_->facts.prompt_tokens},
                                  now);
  context_.plane.router().remember(*route_, now);
}

void Stream::note_answer_piece(std::string_view piece) {
  if (piece.empty()) return;
  const TimePoint now = SteadyClock::now();
  if (!usage_) usage_.emplace(api::AnswerForm::kText);
  usage_->read(piece);
  answer_bytes_ += piece.size();
  ++pieces_;
  if (told_ && streaming_ && last_piece_ != TimePoint{}) told_->token(now - last_piece_);
  last_piece_ = now;
  if (first_byte_ != TimePoint{} || !route_) return;
  first_byte_ = now;
  in_flight_.prompt_computed(first_byte_);
  prefilling_.end();
  context_.plane.pool().on_first_byte(route_->decision.decode->name, first_byte_);
  told_->first_token(now - received_, streaming_);
}

net::H2Bytes Stream::for_client(net::H2Bytes piece) {
  if (!rewriter_) return piece;
  std::string scratch;
  const std::string_view bytes = rewriter_->rewrite(piece.bytes, scratch);
  if (bytes.data() == piece.bytes.data()) return piece;
  return net::own(std::string{bytes});
}

std::string Stream::last_metadata() const {
  if (plan_ == nullptr || plan_->reporters().empty() || !usage_) return {};
  const openai::AnswerUsage counts = usage_->usage().value_or(openai::AnswerUsage{});
  const auto values = reporting::report(plan_->reporters(), {.prompt_tokens = counts.prompt_tokens,
                                                             .completion_tokens = counts.completion_tokens,
                                                             .total_tokens = counts.total_tokens,
                                                             .cached_tokens = cached_tokens()});
  std::vector<rpc::ext_proc::MetadataNumber> numbers;
  for (const reporting::ReportedValue& each : values)
    numbers.push_back({each.name_space, each.name, static_cast<double>(each.value)});
  return numbers.empty() ? std::string{} : rpc::ext_proc::numbers_metadata(numbers);
}

Task<Stream::Next> Stream::take_answer_body() {
  const bool last = part_.end_of_stream;
  const TimePoint began = SteadyClock::now();
  note_answer_piece(part_.body);
  std::string metadata;
  if (last) metadata = last_metadata();
  answer_work_ += SteadyClock::now() - began;  // before the end is told: of most answers that are no streams it is all
  if (last) finish(/*complete=*/true);
  net::H2Bytes piece{.owner = message_, .bytes = part_.body};
  if (answer_mode_ != BodyMode::kFullDuplex && answer_mode_ != BodyMode::kNotTold) {
    const HeadersReply reply{.of_response = true, .dynamic_metadata = std::move(metadata)};
    std::optional<net::H2Bytes> replacement;
    if (net::H2Bytes named = for_client(piece); named.bytes.data() != piece.bytes.data())
      replacement = std::move(named);
    co_return co_await send(held_body_message(reply, std::move(replacement)));
  }
  if (streaming_ || passing_on_) {
    co_return co_await send(
        rpc::ext_proc::body_message(/*of_response=*/true, for_client(std::move(piece)), last, metadata));
  }
  if (answer_.append(part_.body)) {
    if (!last) co_return true;
    co_return co_await send_held_answer(/*last=*/true, metadata);
  }
  // Too long, or too much is held: it goes on as it comes.
  passing_on_ = true;
  if (answer_.size() > 0) {
    const Next held = co_await send_held_answer(/*last=*/false, {});
    if (!held) co_return held;
  }
  co_return co_await send(
      rpc::ext_proc::body_message(/*of_response=*/true, for_client(std::move(piece)), last, metadata));
}

Task<Stream::Next> Stream::send_held_answer(bool last, std::string_view metadata) {
  net::H2Bytes whole = for_client(answer_.part(0, answer_.size()));
  answer_.release();
  co_return co_await send_body(/*of_response=*/true, std::move(whole), last, metadata);
}

Task<Stream::Next> Stream::take_answer_trailers() {
  if (answer_.size() > 0) {
    const std::string metadata = last_metadata();
    const Next sent = co_await send_held_answer(/*last=*/false, metadata);
    if (!sent) co_return sent;
  }
  finish(/*complete=*/true);
  co_return co_await send(rpc::ext_proc::trailers_message(/*of_response=*/true));
}

void Stream::finish(bool complete) {
  if (std::exchange(finished_, true)) return;
  const TimePoint now = SteadyClock::now();
  if (!route_) {
    if (answering_ && complete) tell_metrics(complete, now);
    return;
  }
  const std::string& endpoint = route_->decision.decode->name;
  Outcome outcome{.request_id = request_id_, .endpoint = endpoint, .status = status_};
  if (route_->decision.prefill != nullptr) outcome.prefill_endpoint = route_->decision.prefill->name;
  outcome.cancelled = !complete;
  outcome.total = now - sent_at_;
  if (first_byte_ != TimePoint{}) outcome.ttft = std::max<Duration>(first_byte_ - sent_at_, kClockGrain);
  if (complete && streaming_ && first_byte_ != TimePoint{}) outcome.streamed = now - first_byte_;
  if (const auto usage = usage_ ? usage_->usage() : std::nullopt) {
    outcome.prompt_tokens = usage->prompt_tokens;
    outcome.cached_tokens = usage->cached_tokens;
    outcome.completion_tokens = usage->completion_tokens;
  } else if (streaming_) {
    outcome.completion_tokens = pieces_;  // about one token a piece
    if (route_->facts.prompt_tokens_exact) outcome.prompt_tokens = route_->facts.prompt_tokens;
  }
  tell_metrics(complete, now);
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

void Stream::tell_metrics(bool complete, TimePoint now) {
  if (answer_work_ > Duration::zero()) context_.epp_metrics.response_processed(answer_work_);
  if (!told_) told_.emplace(context_.epp_metrics.request(labels()));
  if (complete) {
    const openai::AnswerUsage counts = (usage_ ? usage_->usage() : std::nullopt).value_or(openai::AnswerUsage{});
    told_->end({.duration = received_ == TimePoint{} ? Duration::zero() : now - received_,
                .usage = {.prompt_tokens = counts.prompt_tokens,
                          .completion_tokens = counts.completion_tokens,
                          .cached_tokens = cached_tokens()},
                .response_bytes = answer_bytes_,
                .streaming = streaming_});
  }
  told_.reset();
}

}  // namespace llmd::epp
