// The prefill leg of the connectors whose decode leg waits for it.
#include <fmt/format.h>

#include <utility>

#include "api/openai/body_edits.h"
#include "api/openai/upstream_error.h"
#include "apps/sidecar/call.h"
#include "base/uuid.h"
#include "net/hop_by_hop.h"
#include "pd/mooncake.h"
#include "telemetry/log.h"

namespace llmd::sidecar {
namespace {

constexpr std::size_t kPrefillAnswerBytesMax = std::size_t{4} << 20U;

}  // namespace

LegRequest Call::prefill_request(std::string body, const std::string& rank) const {
  LegRequest request{.client = &context_.prefiller,
                     .address = *plan_.prefill,
                     .method = request_.method,
                     .target = request_.target,
                     .headers = plan_.headers,
                     .body = std::move(body),
                     .answer_bytes_max = kPrefillAnswerBytesMax,
                     .timeout = options().prefill_timeout};
  request.headers.remove("accept-encoding");
  if (!rank.empty()) request.headers.set(pd::kRankHeader, rank);
  return request;
}

std::optional<pd::KvSource> Call::pulled_from() {
  if (!plan_.kv_source) return std::nullopt;
  const bool is_prefiller =
      plan_.prefill && plan_.kv_source->host == plan_.prefill->host && plan_.kv_source->port == plan_.prefill->port;
  if (is_prefiller) return std::nullopt;
  return pd::KvSource{.request_id = uuid4(context_.rng),
                      .host = plan_.kv_source->host,
                      .port = p2p_port_of(*plan_.kv_source, options())};
}

Task<Result<LegAnswer>> Call::try_prefill(const std::string& body, const std::string& rank) {
  const TimePoint until = SteadyClock::now() + options().prefill_timeout;
  for (std::uint32_t attempt = 0;; ++attempt) {
    LegRequest request = prefill_request(body, rank);
    request.timeout = until - SteadyClock::now();
    leg_ = std::make_shared<Leg>(context_.loop, std::move(request));
    auto end = co_await leg_->run();
    leg_.reset();
    const bool in_vain = end ? !end->may_be_repeated() : end.error().code == ErrorCode::kDeadlineExceeded;
    if (left_ || in_vain || attempt == options().prefill_retries_max) co_return end;
    const TimePoint again = SteadyClock::now() + options().prefill_backoff;
    if (again >= until) co_return end;
    metrics().prefill_retries.add();
    co_await sleep_for(options().prefill_backoff);
    if (left_) co_return end;
  }
}

Task<Call::PrefillEnd> Call::prefill(pd::FieldEdits edits, std::string rank) {
  PrefillEnd done;
  const auto body = openai::edited(body_, edits);
  if (!body) {
    co_await answer(400, body.error().what);
    done.end = Prefill::kAnswered;
    co_return done;
  }
  const TimePoint began = SteadyClock::now();
  auto end = co_await try_prefill(*body, rank);
  if (left_) {
    done.end = Prefill::kAnswered;
    co_return done;
  }
  if (end && end->succeeded()) {
    metrics().prefill_seconds.observe(to_seconds(SteadyClock::now() - began));
    done.end = Prefill::kDone;
    done.answer = *std::move(end);
    co_return done;
  }
  metrics().prefill_failures.add();
  if (end && openai::refuses_request(end->status, end->body, edits)) {
    net::Response verdict;
    verdict.status = end->status;
    verdict.headers = net::end_to_end(end->headers);
    verdict.body = std::move(end->body);
    co_await answer(std::move(verdict));
    done.end = Prefill::kAnswered;
    co_return done;
  }
  const std::string why = end ? fmt::format("it answered {}", end->status) : end.error().to_string();
  log::write(
      log::Level::kWarn, plan_.request_id,
      fmt::format("{} could not prefill: {}; the engine here computes the prompt", plan_.prefill->to_string(), why));
  metrics().local_prefills.add();
  co_return done;
}

}  // namespace llmd::sidecar
