#include "apps/epp/stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "apps/epp/protocol_headers.h"
#include "base/uuid.h"
#include "routing/fairness_id.h"
#include "routing/flow_request.h"
#include "routing/subset.h"
#include "telemetry/log.h"

namespace llmd::epp {
namespace {

using rpc::ext_proc::HeadersReply;
using rpc::ext_proc::Message;
using rpc::ext_proc::ProcessingRequest;

constexpr std::size_t kPieceBytesMax = 62'000;                // of a body that is sent back, as llm-d cuts it
constexpr std::size_t kHeldBytesMax = std::size_t{4} << 20U;  // of an answer that is no stream; then it is passed on
constexpr seconds kBodyTimeout{300};  // from the head to the end of the body, which holds memory meanwhile
constexpr std::size_t kHeadBytesMax = 1'024 * 1'024;  // of a message with headers
constexpr std::string_view kDefaultPath = "/v1/completions";
constexpr std::string_view kNoCandidates = "failed to find endpoint candidates for serving the request";

std::size_t content_length(const ProcessingRequest& head) {
  std::size_t bytes = 0;
  if (const auto text = head.header("content-length"))
    std::from_chars(text->data(), text->data() + text->size(), bytes);
  return bytes;
}

}  // namespace

Stream::Stream(StreamContext& context, rpc::ServerCall& call)
    : context_{context},
      call_{call},
      body_{context.body_budget, context.options.body_bytes_max},
      body_deadline_{context.loop.executor(),
                     [this] {
                       late_ = true;
                       call_.stop_reading();
                     }},
      answer_{context.body_budget, kHeldBytesMax} {
  context_.metrics.streams.add(1);
}

Stream::~Stream() {
  finish(/*complete=*/answering_ && answer_mode_ == BodyMode::kNone);  // then only the end of the stream tells
  trace_.end({.request_id = request_id_,
              .target_model = target_model_,
              .endpoint = route_ ? std::string_view{route_->decision.decode->name} : std::string_view{},
              .status = status_},
             context_.chance);
  context_.metrics.streams.add(-1);
}

Task<rpc::Status> Stream::run() {
  while (true) {
    auto read = co_await call_.read();
    if (!read && evicted_) {
      const Next sent = co_await evict();
      co_return sent ? rpc::Status{} : rpc::status_of(sent.error());
    }
    if (!read && late_) {
      Refusal refusal = make_refusal(408, "the request's body did not come in time");
      const Next sent = co_await refuse(std::move(refusal));
      co_return sent ? rpc::Status{} : rpc::status_of(sent.error());
    }
    if (!read) co_return rpc::status_of(read.error());
    if (!*read) co_return rpc::Status{};
    message_ = std::make_shared<const std::string>(**std::move(read));
    if (const auto parsed = rpc::ext_proc::parse(*message_, part_); !parsed) {
      co_return rpc::Status{.code = rpc::StatusCode::kInvalidArgument, .message = parsed.error().what};
    }
    const Next next = co_await take();
    if (!next) co_return rpc::status_of(next.error());
    if (!*next) co_return rpc::Status{};
  }
}

Task<Stream::Next> Stream::result_of(Next next) { co_return next; }

// No coroutine itself: a frame a message less.
Task<Stream::Next> Stream::take() {
  if (part_.request_body_mode != BodyMode::kNotTold) {
    request_mode_ = part_.request_body_mode;
    answer_mode_ = part_.response_body_mode;
  }
  // Gateways may tell it with any message of the request.
  if (part_.subset && !route_) subset_.emplace(part_.subset->begin(), part_.subset->end());
  const bool may_follow = part_.part == Part::kResponseTrailers || part_.part == Part::kNone;
  if (finished_ && !may_follow)
    return result_of(fail(ErrorCode::kProtocol, "a message comes behind the end of the answer"));
  switch (part_.part) {
    case Part::kRequestHeaders: return take_request_headers();
    case Part::kRequestBody: return take_request_body();
    case Part::kRequestTrailers: return take_request_trailers();
    case Part::kResponseHeaders: return take_answer_headers();
    case Part::kResponseBody: return take_answer_body();
    case Part::kResponseTrailers: return take_answer_trailers();
    case Part::kNone: break;
  }
  return result_of(true);
}

Task<Stream::Next> Stream::take_request_headers() {
  if (head_message_ != nullptr) co_return fail(ErrorCode::kProtocol, "a request has one head");
  received_ = SteadyClock::now();
  head_message_ = message_;
  // It is kept as long as the answer takes.
  head_charge_ = Charge{context_.body_budget, message_->size()};
  if (!head_charge_ || message_->size() > kHeadBytesMax) {
    Refusal refusal = head_charge_ ? make_refusal(431, "the headers are too long")
                                   : make_refusal(503, "there is no memory for further requests");
    co_return co_await refuse(std::move(refusal));
  }
  head_ = std::exchange(part_, {});
  trace_.begin(context_.tracer, header(kTraceparentHeader).value_or(""), header(kTracestateHeader).value_or(""),
               context_.chance);
  request_id_ = header(kRequestIdHeader).value_or("");
  made_id_ = request_id_.empty();
  if (made_id_) request_id_ = uuid4(context_.chance);
  for (const std::string_view name : {":path", "x-original-path", "x-forwarded-path"}) {
    if (path_ = header(name).value_or(""); !path_.empty()) break;
  }
  if (path_.empty()) path_ = kDefaultPath;
  if (head_.end_of_stream || request_mode_ == BodyMode::kNone) co_return co_await pick_any();
  if (request_mode_ == BodyMode::kStreamed || request_mode_ == BodyMode::kBufferedPartial) {
    Refusal refusal = make_refusal(
        500, "request_body_mode of the proxy's ext_proc filter must be FULL_DUPLEX_STREAMED, BUFFERED or NONE");
    co_return co_await refuse(std::move(refusal));
  }
  body_.expect(content_length(head_));
  body_deadline_.set(received_ + kBodyTimeout);
  // Before that is answered, the body does not come.
  if (request_mode_ != BodyMode::kBuffered) co_return true;
  const HeadersReply go_on;
  co_return co_await send(headers_message(go_on));
}

Task<Stream::Next> Stream::take_request_body() {
  if (route_ || body_ended_ || !any_.empty())
    co_return fail(ErrorCode::kProtocol, "a request's body goes on behind its end");
  if (const auto taken = body_.append(part_.body); !taken) {
    Refusal refusal = refusal_of(taken.error());
    co_return co_await refuse(std::move(refusal));
  }
  if (!part_.end_of_stream && request_mode_ != BodyMode::kBuffered) co_return true;
  body_ended_ = true;
  co_return co_await pick_for_body();
}

// llm-d never answers a request whose end is told by trailers.
Task<Stream::Next> Stream::take_request_trailers() {
  if (!route_ && any_.empty()) {
    const Next picked = co_await pick_for_body();
    if (!picked || !*picked) co_return picked;
  }
  co_return co_await send(rpc::ext_proc::trailers_message(/*of_response=*/false));
}

std::shared_ptr<const Endpoint> Stream::any_endpoint() {
  const auto view = context_.plane.pool().view(SteadyClock::now());
  const std::vector<EndpointState>& endpoints = view->snapshot.endpoints;
  std::vector<std::uint8_t> marks(endpoints.size(), 1);
  if (subset_ && context_.options.uses_subset) {
    const std::vector<std::string_view> subset{subset_->begin(), subset_->end()};
    routing::mark_subset(view->snapshot, subset, marks);
  }
  std::vector<std::size_t> able;
  std::vector<std::size_t> others;  // that are said to be down, if there are no others
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    if (marks[i] == 0) continue;
    const EndpointHealth health = endpoints[i].health;
    const bool serves = health != EndpointHealth::kDown && health != EndpointHealth::kDraining;
    (serves ? able : others).push_back(i);
  }
  const std::vector<std::size_t>& from = able.empty() ? others : able;
  if (from.empty()) return nullptr;
  return endpoints[from[context_.chance.below(from.size())]].endpoint;
}

Task<Stream::Next> Stream::pick_any() {
  const auto endpoint = any_endpoint();
  if (endpoint == nullptr) {
    Refusal refusal = make_refusal(500, "no pods available in datastore");
    co_return co_await refuse(std::move(refusal));
  }
  any_ = routing::authority_of(*endpoint);
  context_.metrics.picked.add();
  HeadersReply reply{.clear_route_cache = true, .dynamic_metadata = rpc::ext_proc::destination_metadata(any_)};
  reply.set_headers.emplace_back(kDestinationHeader, any_);
  add_own_headers(reply);
  for (const auto& [name, value] : head_.headers) {
    const bool is_stale = name == kTracestateHeader && trace_.is_new();
    if (steers_endpoints(name) || is_stale) reply.remove_headers.push_back(name);
  }
  co_return co_await send(headers_message(reply));
}

Result<api::ParsedRequest> Stream::parse_body() {
  plan_ = context_.plans.get();
  if (path_.empty()) path_ = kDefaultPath;  // there were no headers
  const api::RequestParser* const parser = api::choose_parser(plan_->parsers, path_);
  if (parser == nullptr) {
    return fail(ErrorCode::kInvalidRequest,
                fmt::format("no parser is configured for the path {}", path_.substr(0, 128)),
                "requestHandler.parsers of the configuration lists them");
  }
  api::ParseHints hints;
  hints.media = context_.plane.router().scheduler()->media_estimate();
  hints.model_required = !rewritten_name().has_value();
  for (const auto& [name, value] : head_.headers) api::take_hint(name, value, hints);
  return parser->parse(path_, body_.bytes(), hints);
}

std::optional<std::string_view> Stream::first_header(std::span<const std::string_view> names) const {
  for (const std::string_view name : names) {
    if (const auto value = header(name); value && !value->empty()) return value;
  }
  return std::nullopt;
}

std::optional<std::string_view> Stream::rewritten_name() const { return first_header(kModelRewriteHeaders); }

void Stream::apply_rules(bool has_model) {
  const discovery::RequestRules& rules = *context_.rules.get();
  if (const auto objective = first_header(kObjectiveHeaders)) priority_ = rules.objectives.priority(*objective);
  target_model_ = model_;
  if (!has_model) return;
  if (const auto name = rewritten_name()) target_model_ = *name;
  // An object's rule comes before a client's header.
  if (const auto choice = rules.rewrites.choose(model_, context_.chance)) {
    target_model_ = choice->model;
    context_.epp_metrics.model_rewritten(choice->rewrite, model_, target_model_);
  }
}

Task<Stream::Next> Stream::pick_for_body() {
  body_deadline_.clear();
  trace_.begin_decision();
  auto parsed = parse_body();
  if (!parsed) {
    Refusal refusal = refusal_of(parsed.error());
    refusal.status = 400;
    co_return co_await refuse(std::move(refusal));
  }
  openai::RoutingFields& fields = parsed->fields;
  model_ = fields.model.value_or("");
  apply_rules(parsed->has_model);
  fields.priority = priority_;  // and not what the body says
  skips_answer_ = parsed->skips_response;
  streaming_ = fields.stream;
  usage_.emplace(parsed->answer);
  std::vector<std::string_view> subset;
  if (subset_) subset.assign(subset_->begin(), subset_->end());
  routing::RouteRequest request{.request_id = request_id_,
                                .model = target_model_,
                                .fields = fields,
                                .media = parsed->media,
                                .header = [this](std::string_view name) { return header(name); },
                                .subset = subset_ && context_.options.uses_subset ? &subset : nullptr,
                                .explain = context_.options.tells_scores};
  fairness_id_ = routing::fairness_id_of(request.header, *context_.plane.flow().session_headers());
  told_.emplace(context_.epp_metrics.request(labels()));
  if (auto refused = co_await wait_for_turn(request)) co_return co_await refuse(*std::move(refused));
  request.work = work_ ? &*work_ : nullptr;
  route_ = context_.plane.router().route(request, *context_.scratch, SteadyClock::now());
  context_.epp_metrics.decided(labels(),
                               {.decision = route_->decision,
                                .facts = route_->facts,
                                .took = route_->took,
                                .prediction_took = route_->prediction_took,
                                .load_tokens = route_->load_tokens,
                                .output_load_tokens = route_->output_load_tokens},
                               *told_);
  if (auto refused = judge()) {
    route_.reset();
    if (pass_ != nullptr) pass_->finish(0);
    pass_ = nullptr;
    co_return co_await refuse(*std::move(refused));
  }
  trace_.end_decision(target_model_, request.fields.priority);
  rewrite_body(*parsed);
  take_up();
  const Next sent = co_await send_pick();
  if (sent) context_.epp_metrics.request_processed(SteadyClock::now() - received_);
  if (!sent || !skips_answer_) co_return sent;
  co_return false;
}

void Stream::rewrite_body(const api::ParsedRequest& parsed) {
  told_->sent(body_.size());
  if (target_model_ == model_) return;
  // Nothing but the model's name changes: what the client sends stays as it is, steering fields as well.
  api::ParsedRequest named = parsed;
  named.fields.steering.clear();
  auto bytes = api::rewrite_request(body_.bytes(), named, {.model = target_model_});
  if (!bytes) return;
  rewritten_ = true;
  body_.replace(*std::move(bytes));
}

eppmetrics::RequestLabels Stream::labels() const noexcept {
  return {.model = model_, .target_model = target_model_, .fairness_id = fairness_id_, .priority = priority_};
}

Task<std::optional<Refusal>> Stream::wait_for_turn(const routing::RouteRequest& request) {
  routing::FlowStrand& flow = context_.plane.flow();
  // Without flow control only what may be shed is looked at.
  if (!flow.enabled() && request.fields.priority >= 0) co_return std::nullopt;
  const routing::Work& work =
      work_.emplace(context_.plane.router().measure(request, *context_.scratch, SteadyClock::now()));
  pass_ = flow.enter(context_.loop, routing::make_flow_request(request, model_, work, body_.size(), received_, flow));
  call_.on_cancel([pass = pass_] { pass->cancel(); });
  const flow::Outcome outcome = co_await pass_->outcome();
  call_.on_cancel(nullptr);
  if (outcome == flow::Outcome::kDispatched) co_return std::nullopt;
  const Error error = pass_->error();
  context_.plane.router().refuse(request_id_, error);
  Refusal refusal = refusal_of(error);
  refusal.dropped_reason = pass_->dropped_reason();
  refusal.retry_after_s = pass_->retry_after_s();
  pass_ = nullptr;
  co_return refusal;
}

std::optional<Refusal> Stream::judge() const {
  const Decision& decision = route_->decision;
  if (decision.outcome == Decision::Outcome::kDispatch) {
    const auto prefer = header("prefer");
    if (prefer && prefers_if_available(*prefer) && decision.cached_tokens_expected == 0)
      return make_refusal(412, "the chosen endpoint has no block of the prompt cached");
    return std::nullopt;
  }
  if (decision.outcome == Decision::Outcome::kNotAdmitted)
    return make_refusal(429, "request cannot be admitted: " + routing::refusal_of(decision.outcome).what);
  Refusal none = make_refusal(503, std::string{kNoCandidates});
  none.dropped_reason = "rejected-no-endpoints";
  return none;
}

/// The request counts against its endpoints from now on.
void Stream::take_up() {
  const TimePoint now = sent_at_ = SteadyClock::now();
  pool::Pool& pool = context_.plane.pool();
  const Decision& decision = route_->decision;
  const std::uint32_t prompt = route_->facts.prompt_tokens;
  const bool apart = decision.prefill != nullptr;
  in_flight_ = pool.begin_request(decision.decode->name,
                                  {.prompt = route_->load_tokens,
                                   .output = route_->output_load_tokens,
                                   .prefill = apart ? 0 : route_->load_tokens,
                                   .context = prompt},
                                  now);
  if (apart) {
    const auto cached = static_cast<std::uint32_t>(decision.prefill_latency.cached * 1'000);
    prefilling_ =
        pool.begin_request(decision.prefill->name,
                           {.prompt = prompt, .prefill = prompt - std::min(prompt, cached), .context = prompt}, now);
  }
  context_.plane.router().remember(*route_, now);
  context_.metrics.picked.add();
  if (pass_ == nullptr) return;
  pass_->decided();
  pass_->on_evict([this] {
    evicted_ = true;
    call_.stop_reading();
  });
}

std::string Stream::name_endpoints() {
  const Decision& decision = route_->decision;
  const auto name = [&](const std::shared_ptr<const Endpoint>& endpoint) {
    std::string_view authority = routing::authority_of(*endpoint);
    std::string text{authority};
    if (decision.data_parallel_port != 0)
      text = fmt::format("{}:{}", authority.substr(0, authority.rfind(':')), decision.data_parallel_port);
    named_.emplace_back(std::move(text), endpoint);
  };
  name(decision.decode);
  for (std::size_t i = 0; i < decision.decode_fallbacks.size() && i + 1 < decision.endpoints_wanted; ++i)
    name(decision.decode_fallbacks[i]);
  std::string list;
  for (const auto& [text, endpoint] : named_) list.append(list.empty() ? "" : ",").append(text);
  return list;
}

void Stream::add_leg_headers(HeadersReply& reply) {
  const Decision& decision = route_->decision;
  const auto add = [&](std::string_view name, std::string value) { leg_headers_.emplace_back(name, std::move(value)); };
  if (decision.prefill != nullptr) add(kPrefillerHeader, std::string{routing::authority_of(*decision.prefill)});
  std::string encoders;
  for (const auto& endpoint : decision.encode)
    encoders.append(encoders.empty() ? "" : ",").append(routing::authority_of(*endpoint));
  if (!encoders.empty()) add(kEncodersHeader, std::move(encoders));
  if (decision.kv_source != nullptr) add(kKvSourceHeader, std::string{routing::authority_of(*decision.kv_source)});
  if (decision.data_parallel_port != 0) add(kDataParallelHeader, std::string{routing::authority_of(*decision.decode)});
  for (const auto& [name, value] : leg_headers_) reply.set_headers.emplace_back(name, value);
}

/// What the client sent goes on as it is; llm-d says so of each header, and some proxies rely on it. A name that comes
/// more than once is left alone: to set it would lose all but one.
void Stream::repeat_headers(HeadersReply& reply) const {
  for (const auto& [name, value] : head_.headers) {
    if (is_system_owned(name) || (name == kTraceparentHeader && !trace_.field().empty())) continue;
    if (name == kTracestateHeader && trace_.is_new()) {
      reply.remove_headers.push_back(name);
      continue;
    }
    if (steers_endpoints(name)) {
      const bool set = std::ranges::find(leg_headers_, name, [](const auto& each) {
                         return std::string_view{each.first};
                       }) != leg_headers_.end();
      if (!set) reply.remove_headers.push_back(name);
      continue;
    }
    if (head_.has_one(name)) reply.set_headers.emplace_back(name, value);
  }
}

void Stream::add_own_headers(HeadersReply& reply) const {
  if (made_id_) reply.set_headers.emplace_back(kRequestIdHeader, request_id_);
  if (!trace_.field().empty()) reply.set_headers.emplace_back(kTraceparentHeader, trace_.field());
}

Task<Stream::Next> Stream::send_pick() {
  const std::string endpoints = name_endpoints();
  std::vector<std::pair<std::string, double>> scores;
  for (const auto& [endpoint, score] : route_->scores)
    scores.emplace_back(routing::authority_of(*endpoint), static_cast<double>(score));
  HeadersReply reply{.clear_route_cache = true,
                     .dynamic_metadata = rpc::ext_proc::destination_metadata(endpoints, scores)};
  reply.set_headers.emplace_back(kDestinationHeader, endpoints);
  const std::string length = std::to_string(body_.size());
  if (body_.size() > 0) reply.set_headers.emplace_back("Content-Length", length);
  add_leg_headers(reply);
  repeat_headers(reply);
  add_own_headers(reply);
  if (request_mode_ == BodyMode::kBuffered) {
    std::optional<net::H2Bytes> replacement;
    if (rewritten_) replacement = body_.part(0, body_.size());
    const Next held = co_await send(held_body_message(reply, std::move(replacement)));
    forget_request();
    co_return held;
  }
  const Next headed = co_await send(headers_message(reply));
  if (!headed) co_return headed;
  const Next sent = co_await send_body(/*of_response=*/false, body_.part(0, body_.size()), body_ended_, {});
  forget_request();
  co_return sent;
}

Task<Stream::Next> Stream::send_body(bool of_response, net::H2Bytes whole, bool last, std::string_view metadata) {
  std::size_t at = 0;
  do {
    const std::size_t bytes = std::min(kPieceBytesMax, whole.bytes.size() - at);
    net::H2Bytes piece{.owner = whole.owner, .bytes = whole.bytes.substr(at, bytes)};
    at += bytes;
    const bool ends = at == whole.bytes.size();
    const std::string_view told = ends ? metadata : std::string_view{};
    const Next sent = co_await send(rpc::ext_proc::body_message(of_response, std::move(piece), last && ends, told));
    if (!sent) co_return sent;
  } while (at < whole.bytes.size());
  co_return true;
}

/// What was picked for need not be kept: the answer may take minutes.
void Stream::forget_request() {
  body_.release();
  message_.reset();
}

Task<Stream::Next> Stream::refuse(Refusal refusal) {
  context_.metrics.refused.add();
  trace_.fail(refusal.message);
  if (!told_) told_.emplace(context_.epp_metrics.request(labels()));
  told_->request_error(refusal.code);
  if (received_ != TimePoint{}) context_.epp_metrics.request_processed(SteadyClock::now() - received_);
  log::debug("request {}: {}", request_id_, refusal.body());
  const std::string body = refusal.body();
  const std::string retry_after = std::to_string(refusal.retry_after_s);
  rpc::ext_proc::ImmediateReply reply{.status = refusal.status, .body = body};
  if (!refusal.dropped_reason.empty()) reply.set_headers.emplace_back(kDroppedReasonHeader, refusal.dropped_reason);
  if (refusal.retry_after_s > 0) reply.set_headers.emplace_back("retry-after", retry_after);
  const Next sent = co_await send(immediate_message(reply));
  if (!sent) co_return sent;
  co_return false;
}

Task<Stream::Next> Stream::evict() {
  finish(/*complete=*/false);
  rpc::ext_proc::ImmediateReply reply{.status = 429, .body = "request evicted by flow control"};
  reply.set_headers.emplace_back(kDroppedReasonHeader, "evicted");
  co_return co_await send(immediate_message(reply));
}

Task<Stream::Next> Stream::send(Message message) {
  const auto sent = co_await call_.write(std::move(message));
  if (!sent) co_return std::unexpected(sent.error());
  co_return true;
}

std::optional<std::string_view> Stream::header(std::string_view name) const { return head_.header(name); }

}  // namespace llmd::epp
