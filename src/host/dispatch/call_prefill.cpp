// The first leg of a request whose prompt is computed elsewhere.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "api/openai/body_edits.h"
#include "api/openai/upstream_error.h"
#include "dispatch/call.h"
#include "dispatch/legs.h"
#include "dispatch/prefill_beside.h"
#include "pd/connector.h"
#include "pd/nixl.h"
#include "pd/sglang.h"
#include "pd/shared_storage.h"
#include "telemetry/log.h"

namespace llmd::dispatch {
namespace {

constexpr std::size_t kPrefillAnswerBytesMax = 4 * 1024 * 1024;

/// How an endpoint's engine hands KV on; vLLM's way if its label does not say. No value: it says something else.
std::optional<pd::Connector> connector_of(const Endpoint& endpoint) {
  const auto label = endpoint.labels.find(std::string{kConnectorLabel});
  return label == endpoint.labels.end() ? pd::Connector::kNixl : pd::connector_of(label->second);
}

std::optional<std::uint16_t> port_label(const Endpoint& endpoint) {
  const auto label = endpoint.labels.find(std::string{kBootstrapPortLabel});
  if (label == endpoint.labels.end()) return std::nullopt;
  std::uint16_t port = 0;
  const std::string& text = label->second;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (status != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

}  // namespace

Task<void> Call::prefill() {
  const EndpointPtr endpoint = request_.route.decision.prefill;
  const std::string_view path = request_.target.substr(0, request_.target.find('?'));
  if (endpoint == nullptr || !generates(path)) co_return;
  // Connectors are of chat completions; a request of another API is split as one.
  if (dialect_ != api::Dialect::kOpenAi && !convert()) co_return;
  outcome_.prefill_endpoint = endpoint->name;
  context_.prefill_legs.add();
  // The decode endpoint has the request from now on: others must see that it is taken.
  reserved_ = count(*request_.route.decision.decode, {.context = request_.route.facts.prompt_tokens});
  reserved_.release_prompt();
  context_.router.remember(request_.route, SteadyClock::now());
  remembered_ = true;
  const auto connector = connector_of(*endpoint);
  Result<std::string> answer = std::string{};
  Result<std::string> body = std::unexpected(Error{});
  if (connector == pd::Connector::kSglang) {
    const Result<void> sent = prefill_beside(*endpoint);
    if (sent) co_return;
    answer = std::unexpected(sent.error());
  } else if (connector == pd::Connector::kSharedStorage) {
    const pd::FieldEdits edits = pd::shared_storage_prefill_edits(pd::BodyKind::kChatOrCompletion);
    answer = co_await ask_prefill(*endpoint, edits);
    if (answer) body = openai::edited(body_, pd::shared_storage_decode_edits());
  } else if (connector == pd::Connector::kNixl) {
    const pd::FieldEdits edits = pd::nixl_prefill_edits(pd::BodyKind::kChatOrCompletion);
    answer = co_await ask_prefill(*endpoint, edits);
    if (answer) body = decode_body(body_, *std::move(answer));
  } else {
    answer = fail(ErrorCode::kUnsupported,
                  fmt::format("its label {} names no connector that is spoken here", kConnectorLabel));
  }
  if (body) {
    outcome_.prefill = SteadyClock::now() - started_;
    split_body_ = *std::move(body);
    body_ = split_body_;
    co_return;
  }
  if (left_ || revoked_ || verdict_) co_return;
  const Error& why = answer ? body.error() : answer.error();
  outcome_.prefill_error = why.to_string();
  context_.prefill_failures.add();
  log::write(log::Level::kWarn, outcome_.request_id,
             fmt::format("{} could not prefill: {}; the decode endpoint computes the prompt", endpoint->name,
                         outcome_.prefill_error));
}

Result<void> Call::prefill_beside(const Endpoint& endpoint) {
  constexpr std::uint16_t kBootstrapPort = 8998;
  LLMD_TRY(const net::Address address, context_.address_of(endpoint.url));
  const pd::FieldEdits edits = pd::sglang_edits({.host = address.host,
                                                 .bootstrap_port = port_label(endpoint).value_or(kBootstrapPort),
                                                 .room = pd::sglang_room(context_.rng)});
  LLMD_TRY(split_body_, openai::edited(body_, edits));
  body_ = split_body_;
  const std::uint32_t prompt = request_.route.facts.prompt_tokens;
  beside_ = PrefillBeside::start(context_,
                                 {.endpoint = endpoint.name,
                                  .address = address,
                                  .method = std::string{request_.method},
                                  .target = std::string{target()},
                                  .headers = request_.headers,
                                  .body = split_body_},
                                 count(endpoint, {.prompt = prompt, .prefill = prompt, .context = prompt}));
  beside_->on_failure([this] {
    if (!sent_ && attempt_cancel_ != nullptr) attempt_cancel_->cancel();
  });
  return {};
}

Result<void> Call::meet_anew() {
  beside_->on_failure(nullptr);
  beside_->cancel();
  request_.headers.remove("x-data-parallel-host-port");  // of the decode endpoint that failed
  context_.prefill_legs.add();
  return prefill_beside(*request_.route.decision.prefill);
}

bool Call::waits_in_vain() const { return beside_ != nullptr && !sent_ && beside_->failure().has_value(); }

void Call::end_beside() {
  beside_->on_failure(nullptr);
  if (beside_->failure()) {
    outcome_.prefill_error = beside_->failure()->to_string();
    if (!sent_) error_ = *beside_->failure();
  }
  // If the answer is complete, the engine may still be at its last block.
  if (left_ || revoked_ || timed_out_ || !sent_ || outcome_.endpoint_failed) beside_->cancel();
}

Task<Result<std::string>> Call::ask_prefill(const Endpoint& endpoint, const pd::FieldEdits& edits) {
  const auto address = context_.address_of(endpoint.url);
  if (!address) co_return std::unexpected(address.error());
  const auto body = openai::edited(body_, edits);
  if (!body) co_return std::unexpected(body.error());
  const std::uint32_t prompt = request_.route.facts.prompt_tokens;
  const auto cached = static_cast<std::uint32_t>(request_.route.decision.prefill_latency.cached * 1'000);
  pool::InFlight in_flight =
      count(endpoint, {.prompt = prompt, .prefill = prompt - std::min(prompt, cached), .context = prompt});
  auto response = co_await context_.client.send(
      *address, {.method = request_.method, .target = target(), .headers = &request_.headers, .body = *body}, &cancel_);
  const auto failed = [&](health::FailureKind kind) {
    if (!left_ && !revoked_) context_.pool.on_request_failure(endpoint.name, kind, SteadyClock::now());
  };
  if (!response) {
    const bool refused = response.error().code == ErrorCode::kConnectionRefused;
    failed(refused ? health::FailureKind::kConnect : health::FailureKind::kCutStream);
    co_return std::unexpected(std::move(response).error());
  }
  auto answer = co_await (*response)->read_all(kPrefillAnswerBytesMax);
  if (!answer) {
    failed(health::FailureKind::kCutStream);
    co_return answer;
  }
  const int status = (*response)->status();
  if (openai::refuses_request(status, *answer, edits)) {
    outcome_.endpoint = endpoint.name;
    verdict_ = client_answer(status, head_of(**response), *std::move(answer));
    context_.pool.on_request_success(endpoint.name, SteadyClock::now());
    co_return fail(ErrorCode::kInvalidRequest, "the request is wrong");
  }
  if (status >= 500 && !is_refusal(status)) failed(health::FailureKind::kServerError);
  if (status < 200 || status > 299) {
    co_return fail(ErrorCode::kUpstreamFailed, fmt::format("it answered {}", status));
  }
  in_flight.prompt_computed(SteadyClock::now());
  context_.pool.on_request_success(endpoint.name, SteadyClock::now());
  co_return answer;
}

}  // namespace llmd::dispatch
