#include "dispatch/call.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <random>
#include <utility>

#include "api/openai/body_edits.h"
#include "api/openai/error.h"
#include "api/openai/upstream_error.h"
#include "dispatch/forward_headers.h"
#include "dispatch/legs.h"
#include "dispatch/prefill_beside.h"
#include "dispatch/transfer_report.h"
#include "runtime/deadline.h"
#include "telemetry/log.h"

namespace llmd::dispatch {
namespace {

constexpr milliseconds kQuickRefusal{50};
constexpr std::size_t kAddressesMax = 8'192;
constexpr std::size_t kRefusalBytesMax = 64 * 1024;
constexpr std::size_t kConvertedBytesMax = 16 * 1024 * 1024;  // of a whole answer, which is converted as one

bool is_event_stream(const net::ClientResponse& response) {
  return response.headers().get("content-type").value_or("").starts_with("text/event-stream");
}

/// "No such path here": an engine that has not the API.
bool has_no_path(int status) { return status == 404 || status == 405 || status == 501; }

/// Puts JSON of ours in place of what the endpoint said.
void replace_body(net::Response& answer, std::string json) {
  answer.body = std::move(json);
  answer.headers.set("Content-Type", "application/json");
  answer.headers.remove("Content-Encoding");
}

net::Response error_answer(api::Dialect dialect, const Error& error, net::Headers headers = {}) {
  openai::ErrorAnswer rendered = api::render_error(dialect, error);
  net::Response answer{.status = rendered.status, .headers = std::move(headers), .body = {}};
  replace_body(answer, std::move(rendered.json));
  return answer;
}

// Of a stream's time a tenth, or so long, may pass waiting for its client.
constexpr int kSlowClientShare = 10;
constexpr Duration kClientWaitMax = milliseconds{1};

/// llm-d's words.
Error revoked() {
  return {.code = ErrorCode::kOverloaded, .what = "request evicted by flow control", .hint = "send the request again"};
}

std::uint64_t seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

Counter& failures(MetricsRegistry& metrics, const char* kind) {
  return metrics.counter("llmd_gateway_upstream_failures_total",
                         "Requests to endpoints that did not end as they should", {{"kind", kind}});
}

}  // namespace

bool is_refusal(int status) noexcept { return status == 429 || status == 502 || status == 503 || status == 504; }

DispatchContext::DispatchContext(Loop& on, pool::Pool& of, routing::Router& with, MetricsRegistry& metrics,
                                 DispatchOptions how)
    : loop{on},
      pool{of},
      router{with},
      options{how},
      client{on, how.client},
      rng{seed()},
      retries{metrics.counter("llmd_gateway_retries_total", "Requests sent to another endpoint after one failed")},
      connect_failures{failures(metrics, "connect")},
      cut_streams{failures(metrics, "cut")},
      timeouts{failures(metrics, "timeout")},
      cancelled{
          metrics.counter("llmd_gateway_cancelled_total", "Requests whose client left before the answer was complete")},
      prefill_legs{metrics.counter("llmd_gateway_prefill_legs_total", "Prompts sent to a prefill endpoint first")},
      prefill_failures{metrics.counter("llmd_gateway_prefill_failures_total",
                                       "Prefill legs that failed, so that the decode endpoint computed the prompt")} {}

Result<net::Address> DispatchContext::address_of(const std::string& url) {
  if (const auto found = addresses.find(url); found != addresses.end()) return found->second;
  LLMD_TRY(net::Address address, net::Address::parse_url(url));
  if (addresses.size() >= kAddressesMax) addresses.clear();
  return addresses.emplace(url, std::move(address)).first->second;
}

std::vector<Call::EndpointPtr> Call::candidates() const {
  std::vector<EndpointPtr> list{request_.route.decision.decode};
  const auto& fallbacks = request_.route.decision.decode_fallbacks;
  list.insert(list.end(), fallbacks.begin(), fallbacks.end());
  return list;
}

Task<Outcome> Call::run() {
  started_ = SteadyClock::now();
  outcome_.request_id = request_.route.facts.request_id;
  exchange_.on_disconnect([this] { client_left(); });
  Deadline deadline{context_.loop.executor(), [this] {
                      timed_out_ = true;
                      cancel_.cancel();
                    }};
  deadline.set(started_ + context_.options.request_timeout);
  if (request_.revocation != nullptr) {
    request_.revocation->revoke = [this] {
      revoked_ = true;
      cancel_.cancel();
    };
    revoked_ = request_.revocation->wanted;
  }
  body_ = request_.body;
  if (!revoked_) co_await prefill();
  if (verdict_ && !left_) co_await answer(*std::move(verdict_));
  bool first = true;
  std::uint32_t reached = 0;
  bool was_seen = false;  // by an endpoint that then failed
  for (const EndpointPtr& endpoint : candidates()) {
    if (left_ || timed_out_ || revoked_ || sent_ || waits_in_vain() || reached >= context_.options.attempts_max) break;
    if (!std::exchange(first, false)) {
      ++outcome_.retries;
      context_.retries.add();
    }
    if (was_seen && beside_ != nullptr) {
      if (Result<void> met = meet_anew(); !met) {
        error_ = std::move(met).error();
        break;
      }
    }
    const TimePoint asked = SteadyClock::now();
    const Attempt end = co_await attempt(endpoint);
    if (end == Attempt::kOver) break;
    // Where nobody listens the request was not seen, and asking cost nothing if that was told at once: when many
    // endpoints die at once, the next ones of the decision may all be among them.
    const bool unseen = error_ && error_->code == ErrorCode::kConnectionRefused;
    was_seen = was_seen || !unseen;
    if (!unseen || SteadyClock::now() - asked > kQuickRefusal) ++reached;
  }
  deadline.clear();
  if (beside_ != nullptr) end_beside();
  request_.untaken = request_.may_go_elsewhere && !left_ && !sent_ && !timed_out_ && !revoked_ && !had_no_room_ &&
                     (outcome_.endpoint_failed || !refusal_);
  if (!left_ && !sent_ && !request_.untaken) co_await answer_failure();
  exchange_.on_disconnect(nullptr);
  if (request_.revocation != nullptr) request_.revocation->revoke = {};
  outcome_.cancelled = left_;
  if (left_) context_.cancelled.add();
  if (timed_out_) context_.timeouts.add();
  if (!outcome_.prefill_error.empty()) {
    outcome_.kv_recomputed_tokens = outcome_.prompt_tokens - std::min(outcome_.prompt_tokens, outcome_.cached_tokens);
  }
  outcome_.total = SteadyClock::now() - started_;
  context_.router.finish(request_.route, outcome_, SteadyClock::now());
  co_return std::move(outcome_);
}

pool::InFlight Call::count(const Endpoint& endpoint, pool::LoadTokens tokens) {
  pool::InFlight in_flight = context_.pool.begin_request(endpoint.name, tokens, SteadyClock::now());
  if (const auto counted = std::exchange(request_.counted, {})) counted();
  return in_flight;
}

Result<net::Address> Call::connect_to(const Endpoint& endpoint) {
  LLMD_TRY(net::Address address, context_.address_of(endpoint.url));
  const std::uint16_t port = request_.route.decision.data_parallel_port;
  if (port == 0 || address.is_unix()) return address;
  // The ranks of a data-parallel pod share a port, behind which the header names the one that was chosen.
  request_.headers.set("x-data-parallel-host-port", address.to_string());
  address.port = port;
  return address;
}

Task<Call::Attempt> Call::attempt(const EndpointPtr& endpoint) {
  endpoint_ = endpoint;
  outcome_.endpoint = endpoint->name;
  const auto address = connect_to(*endpoint);
  if (!address) {
    error_ = address.error();
    co_return Attempt::kRetry;
  }
  const bool prefilled = !outcome_.prefill_endpoint.empty() && outcome_.prefill_error.empty();
  pool::InFlight in_flight = count(*endpoint, {.prompt = request_.route.load_tokens,
                                               .output = request_.route.output_load_tokens,
                                               .prefill = prefilled ? 0 : request_.route.load_tokens,
                                               .context = request_.route.facts.prompt_tokens});
  reserved_ = {};
  // What was predicted is of the endpoint that was chosen first.
  if (endpoint != std::exchange(request_.route.decision.decode, endpoint)) {
    request_.route.decision.latency.known = false;
    request_.route.decision.latency.cached = 0;
  }
  if (!std::exchange(remembered_, false)) context_.router.remember(request_.route, SteadyClock::now());
  // A prefill leg beside it that fails ends the attempt, and not the call.
  net::CancelToken own;
  if (beside_ != nullptr) {
    cancel_.set(&own, [&own] { own.cancel(); });
    if (cancel_.cancelled() || waits_in_vain()) own.cancel();
    attempt_cancel_ = &own;
  }
  Attempt end = Attempt::kRetry;
  auto response = co_await ask(*endpoint, *address);
  if (verdict_) {
    if (!left_) co_await answer(*std::move(verdict_));
    end = Attempt::kOver;
  } else if (response) {
    end = co_await relay_answer(**response, in_flight);
  } else {
    blame(std::move(response).error());
  }
  attempt_cancel_ = nullptr;
  cancel_.set(&own, nullptr);
  co_return end;
}

bool Call::convert() {
  if (!converted_) {
    auto converted = api::convert_request(dialect_, request_.body);
    if (!converted) {
      verdict_ = error_answer(dialect_, converted.error());
      verdict_->headers.add("x-request-id", outcome_.request_id);
      return false;
    }
    converted_ = *std::move(converted);
  }
  converts_ = true;
  if (split_body_.empty()) body_ = converted_->body;
  // Anthropic's clients name their key so; engines read the other header.
  const auto key = request_.headers.get("x-api-key");
  if (key && !request_.headers.get("authorization"))
    request_.headers.set("Authorization", fmt::format("Bearer {}", *key));
  return true;
}

std::string_view Call::target() const noexcept {
  return converts_ ? api::chat_path(dialect_) : std::string_view{request_.target};
}

api::AnswerFacts Call::answer_facts() const {
  std::string model = converted_->model;
  if (model.empty() && !endpoint_->models.empty()) model = endpoint_->models.front().id;
  return {.request_id = outcome_.request_id, .model = std::move(model), .created = std::time(nullptr)};
}

Task<Call::Response> Call::send(const net::Address& address) {
  net::CancelToken* const cancel = attempt_cancel_ != nullptr ? attempt_cancel_ : &cancel_;
  auto response = co_await context_.client.send(
      address, {.method = request_.method, .target = target(), .headers = &request_.headers, .body = body_}, cancel);
  co_return response;
}

Task<Call::Response> Call::ask(const Endpoint& endpoint, const net::Address& address) {
  if (dialect_ == api::Dialect::kOpenAi) co_return co_await send(address);
  const bool native =
      split_body_.empty() && context_.apis.speaks(endpoint, context_.pool.engine_of(endpoint.name), dialect_);
  if (native) {
    converts_ = false;
    body_ = request_.body;
    auto response = co_await send(address);
    if (!response || !has_no_path((*response)->status())) co_return response;
  }
  if (!convert()) co_return std::unexpected(Error{});
  auto response = co_await send(address);
  if (native && response && !has_no_path((*response)->status())) context_.apis.lacks(endpoint, dialect_);
  co_return response;
}

net::Response Call::client_answer(int status, net::Headers headers, std::string body) {
  net::Response answer{.status = status, .headers = std::move(headers), .body = std::move(body)};
  if (status >= 400) {
    if (auto shaped = api::shape_upstream_error(dialect_, status, answer.body))
      replace_body(answer, *std::move(shaped));
    return answer;
  }
  if (!converts_) return answer;
  auto json = api::convert_answer(dialect_, *converted_, answer_facts(), answer.body);
  if (!json) {
    Error error{.code = ErrorCode::kUpstreamFailed, .what = json.error().what, .hint = json.error().hint};
    return error_answer(dialect_, error, std::move(answer.headers));
  }
  replace_body(answer, *std::move(json));
  return answer;
}

Task<Call::Attempt> Call::relay_answer(net::ClientResponse& response, pool::InFlight& in_flight) {
  const int status = response.status();
  if (is_refusal(status)) co_return co_await keep_refusal(response);
  outcome_.status = status;
  if (const auto moved = parse_transfer_report(response.headers().get(kTransferHeader).value_or(""))) {
    outcome_.kv_blocks = moved->blocks;
    outcome_.kv_bytes = moved->bytes;
    outcome_.kv_recomputed_tokens = moved->recomputed_tokens;
  }
  rename_in(response);
  // Not `?:`, of which GCC 12 awaits both sides.
  if (status < 300 && is_event_stream(response)) co_return co_await relay_stream(response, in_flight);
  co_return co_await relay_whole(response, in_flight);
}

Task<Call::Attempt> Call::keep_refusal(net::ClientResponse& response) {
  const int status = response.status();
  auto body = co_await response.read_all(kRefusalBytesMax);
  // "No room, come later" is no fault of the endpoint's; another 5xx is.
  const bool no_room = status == 429 || (status == 503 && response.headers().get("retry-after"));
  outcome_.endpoint_failed = !no_room;
  had_no_room_ = had_no_room_ || no_room;
  if (!no_room)
    context_.pool.on_request_failure(endpoint_->name, health::FailureKind::kServerError, SteadyClock::now());
  error_ = Error{.code = ErrorCode::kUpstreamFailed, .what = fmt::format("the endpoint answered {}", status)};
  refusal_.reset();
  if (body && (status == 429 || status == 503)) {
    refusal_ = client_answer(status, head_of(response), *std::move(body));
  }
  co_return Attempt::kRetry;
}

Task<Call::Attempt> Call::relay_stream(net::ClientResponse& response, pool::InFlight& in_flight) {
  SseRelay relay{request_.hides_usage ? SseRelay::Usage::kHide : SseRelay::Usage::kPassOn};
  std::optional<api::ChatStreamConverter> converter;
  if (converts_) converter.emplace(api::make_answer_writer(dialect_, *converted_, answer_facts()));
  std::string converted;
  bool cut = false;
  Duration client_wait{};
  while (true) {
    const auto piece = co_await response.read();
    if (!piece || piece->empty()) {
      cut = !relay.complete();
      if (cut && !sent_) {
        blame(piece ? Error{.code = ErrorCode::kConnectionClosed, .what = "the endpoint's stream ended without [DONE]"}
                    : piece.error());
        co_return Attempt::kRetry;
      }
      if (cut) blame(piece ? Error{.code = ErrorCode::kConnectionClosed, .what = "no [DONE]"} : piece.error());
      break;
    }
    std::string_view ready = relay.feed(*piece);
    if (converter) {
      converted.clear();
      converter->feed(ready, converted);
      ready = converted;
    }
    if (ready.empty()) continue;
    if (!sent_) {
      first_byte(in_flight);
      context_.pool.on_first_byte(endpoint_->name, SteadyClock::now());
      sent_ = true;
      const auto head = co_await exchange_.start(response.status(), head_of(response));
      if (!head) client_left();
    }
    if (!left_) {
      const TimePoint before = SteadyClock::now();
      const auto written = co_await exchange_.write(renamed(ready));
      client_wait += SteadyClock::now() - before;
      cut = converter && converter->malformed();
      if (cut) blame({.code = ErrorCode::kProtocol, .what = "an event of the endpoint's cannot be converted"});
      if (cut) break;
      if (written) continue;
      client_left();
    }
    note_tokens(relay);
    co_return Attempt::kOver;
  }
  note_tokens(relay);
  if (cut) {
    co_await end_cut_stream(converter ? &*converter : nullptr);
    co_return Attempt::kOver;
  }
  const Duration streamed = SteadyClock::now() - started_ - outcome_.ttft;
  if (!relay.failed()) outcome_.streamed = streamed;
  outcome_.client_slow = client_wait > kClientWaitMax && client_wait * kSlowClientShare > streamed;
  tell_served(relay.failed());
  const auto finished = co_await exchange_.finish();
  if (!finished) client_left();
  co_return Attempt::kOver;
}

void Call::note_tokens(const SseRelay& relay) {
  if (relay.usage()) {
    note_usage(*relay.usage());
    return;
  }
  // Cut short, or an engine that does not tell: one token an event, give or take one, and the prompt if it is known.
  outcome_.completion_tokens = relay.events();
  const RequestFacts& facts = request_.route.facts;
  if (facts.prompt_tokens_exact) outcome_.prompt_tokens = facts.prompt_tokens;
}

void Call::note_usage(const openai::AnswerUsage& usage) {
  outcome_.prompt_tokens = usage.prompt_tokens;
  // Anthropic's count of the prompt is without what was cached.
  if (dialect_ == api::Dialect::kMessages && !converts_) outcome_.prompt_tokens += usage.cached_tokens;
  outcome_.cached_tokens = usage.cached_tokens;
  outcome_.completion_tokens = usage.completion_tokens;
}

Task<void> Call::end_cut_stream(api::ChatStreamConverter* converter) {
  if (left_) co_return;
  if (!revoked_) context_.cut_streams.add();
  Error error{.code = ErrorCode::kUpstreamFailed,
              .what = "the endpoint that generated this answer failed before it was complete",
              .hint = "send the request again"};
  if (timed_out_) {
    error = {.code = ErrorCode::kUpstreamTimeout, .what = "the answer was not complete within the time for a request"};
  }
  if (revoked_) error = revoked();
  std::string event;
  if (converter != nullptr) {
    converter->fail(error, event);
  } else {
    api::append_stream_error(event, dialect_, error);
  }
  const auto written = co_await exchange_.write(event);
  if (written) {
    const auto finished = co_await exchange_.finish();
    if (finished) co_return;
  }
  client_left();
}

Task<Call::Attempt> Call::relay_whole(net::ClientResponse& response, pool::InFlight& in_flight) {
  std::string body;
  while (true) {
    const auto piece = co_await response.read();
    if (!piece) {
      blame(piece.error());
      co_return Attempt::kRetry;
    }
    if (piece->empty()) break;
    body += *piece;
    if (converts_ && body.size() > kConvertedBytesMax) {
      blame({.code = ErrorCode::kBodyTooLarge, .what = "the endpoint's answer is too long to be converted"});
      co_return Attempt::kRetry;
    }
    if (!converts_ && body.size() > context_.options.held_answer_bytes_max) {
      first_byte(in_flight);
      co_return co_await pass_on_large(response, std::move(body));
    }
  }
  first_byte(in_flight);
  tell_served(response.status() >= 500);
  if (const auto usage = openai::find_usage(body)) note_usage(*usage);
  net::Response whole = client_answer(response.status(), head_of(response), std::move(body));
  if (rewriter_) {
    if (const std::string_view shown = renamed(whole.body); shown.data() != whole.body.data()) whole.body = shown;
  }
  co_await answer(std::move(whole));
  co_return Attempt::kOver;
}

void Call::rename_in(const net::ClientResponse& response) {
  rewriter_.reset();
  const bool packed = response.headers().get("content-encoding").value_or("identity") != "identity";
  if (request_.answer_model.empty() || packed) return;
  using Form = api::AnswerModelRewriter::Form;
  rewriter_.emplace(is_event_stream(response) ? Form::kEvents : Form::kJson, request_.answer_model);
}

std::string_view Call::renamed(std::string_view piece) {
  return rewriter_ ? rewriter_->rewrite(piece, renamed_) : piece;
}

net::Headers Call::head_of(const net::ClientResponse& response) const {
  net::Headers headers = answer_headers(response.headers(), outcome_.request_id);
  if (endpoint_ == nullptr) return headers;
  for (auto& [name, value] : context_.router.answer_headers(request_.route, *endpoint_))
    headers.set(std::move(name), std::move(value));
  return headers;
}

Task<Call::Attempt> Call::pass_on_large(net::ClientResponse& response, std::string head_of_body) {
  sent_ = true;
  const auto head = co_await exchange_.start(response.status(), head_of(response));
  std::string_view next = head_of_body;
  while (head) {
    const auto written = co_await exchange_.write(renamed(next));
    if (!written) break;
    const auto piece = co_await response.read();
    if (!piece) {
      // Without finish() the server closes the connection, by which the client sees that the answer is cut.
      blame(piece.error());
      co_return Attempt::kOver;
    }
    if (!piece->empty()) {
      next = *piece;
      continue;
    }
    tell_served(false);
    const auto finished = co_await exchange_.finish();
    if (finished) co_return Attempt::kOver;
    break;
  }
  client_left();
  co_return Attempt::kOver;
}

Task<void> Call::answer(net::Response whole) {
  outcome_.status = whole.status;
  sent_ = true;
  const auto responded = co_await exchange_.respond(std::move(whole));
  if (!responded) client_left();
}

Task<void> Call::answer_failure() {
  net::Response failure;
  if (refusal_ && !timed_out_ && !revoked_) {
    failure = std::move(*refusal_);
  } else {
    Error error{.code = ErrorCode::kUpstreamFailed,
                .what = fmt::format("no endpoint answered; the last one failed: {}",
                                    error_ ? error_code_name(error_->code) : "internal"),
                .hint = "try again in a moment"};
    if (timed_out_) {
      error = {.code = ErrorCode::kUpstreamTimeout, .what = "no endpoint answered within the time for a request"};
    }
    if (revoked_) error = revoked();
    openai::ErrorAnswer rendered = api::render_error(dialect_, error);
    failure.status = rendered.status;
    failure.headers.add("Content-Type", "application/json");
    failure.headers.add("Retry-After", std::to_string(rendered.retry_after_s.value_or(1)));
    failure.headers.add("x-request-id", outcome_.request_id);
    if (revoked_) failure.headers.add(std::string{kDroppedReasonHeader}, "evicted");
    failure.body = std::move(rendered.json);
  }
  co_await answer(std::move(failure));
}

void Call::blame(Error error) {
  if (left_ || revoked_ || waits_in_vain()) return;
  using health::FailureKind;
  outcome_.endpoint_failed = true;
  refusal_.reset();
  FailureKind kind = FailureKind::kCutStream;
  if (error.code == ErrorCode::kConnectionRefused) {
    kind = FailureKind::kConnect;
    context_.connect_failures.add();
  } else if (error.code == ErrorCode::kDeadlineExceeded || timed_out_) {
    kind = FailureKind::kTimeout;
  }
  context_.pool.on_request_failure(endpoint_->name, kind, SteadyClock::now());
  error_ = std::move(error);
}

void Call::tell_served(bool server_error) {
  outcome_.endpoint_failed = server_error;
  const TimePoint now = SteadyClock::now();
  if (server_error) {
    context_.pool.on_request_failure(endpoint_->name, health::FailureKind::kServerError, now);
  } else {
    context_.pool.on_request_success(endpoint_->name, now);
  }
}

void Call::first_byte(pool::InFlight& in_flight) {
  const TimePoint now = SteadyClock::now();
  in_flight.prompt_computed(now);
  outcome_.ttft = now - started_;
}

void Call::client_left() {
  left_ = true;
  cancel_.cancel();
}

}  // namespace llmd::dispatch
