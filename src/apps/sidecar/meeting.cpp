// How the two legs that are sent at once find each other, by connector.
#include <fmt/format.h>

#include <utility>

#include "apps/sidecar/call.h"
#include "base/uuid.h"
#include "pd/mooncake.h"
#include "pd/moriio.h"
#include "pd/offloading.h"
#include "pd/sglang.h"
#include "telemetry/log.h"

namespace llmd::sidecar {
namespace {

constexpr seconds kBootstrapTimeout{5};
constexpr std::size_t kBootstrapBytesMax = std::size_t{1} << 20U;

}  // namespace

Task<void> Call::sglang_legs() {
  const pd::FieldEdits edits = pd::sglang_edits({.host = plan_.prefill->host,
                                                 .bootstrap_port = options().sglang_bootstrap_port,
                                                 .room = pd::sglang_room(context_.rng)});
  TwoBodies bodies;
  bodies.prefill_edits = edits;
  bodies.decode_edits = edits;
  co_await both_legs(std::move(bodies));
}

Task<void> Call::offloading_legs() {
  const std::string id = uuid4(context_.rng);
  const auto source = pulled_from();
  TwoBodies bodies;
  bodies.prefill_edits = pd::offloading_prefill_edits(pd::body_kind(path_), id, source ? &*source : nullptr);
  bodies.decode_edits = pd::offloading_decode_edits(
      {.request_id = id, .host = plan_.prefill->host, .port = p2p_port_of(*plan_.prefill, options())});
  co_await both_legs(std::move(bodies));
}

Task<void> Call::moriio_parallel_legs(pd::MoriioPlan plan) {
  const std::shared_ptr<const pd::MoriioOptions> moriio = context_.shared.moriio.current();
  const auto source = pulled_from();
  TwoBodies bodies;
  bodies.prefill_edits = pd::moriio_prefill_edits(pd::body_kind(path_), *moriio, plan, source ? &*source : nullptr);
  bodies.decode_edits = pd::moriio_parallel_decode_edits(*moriio, plan, plan_.prefill->host);
  if (moriio->dp_size > 1) bodies.prefill_rank = bodies.decode_rank = std::to_string(plan.rank);
  bodies.commits_late = true;
  co_await both_legs(std::move(bodies));
}

Task<Result<MooncakeRank>> Call::find_mooncake_rank(std::string pod, std::string bootstrap_host) {
  if (const MooncakeRank* const known = context_.mooncake.find(pod, context_.rng, SteadyClock::now())) co_return *known;
  LegRequest request;
  request.client = &context_.bootstrap;
  request.address = {.host = std::move(bootstrap_host), .port = options().mooncake_bootstrap_port, .unix_path = {}};
  request.method = "GET";
  request.target = "/query";
  request.answer_bytes_max = kBootstrapBytesMax;
  request.timeout = kBootstrapTimeout;
  leg_ = std::make_shared<Leg>(context_.loop, std::move(request));
  auto told = co_await leg_->run();
  leg_.reset();
  if (!told) co_return std::unexpected(std::move(told).error());
  if (!told->succeeded())
    co_return fail(ErrorCode::kUpstreamFailed, fmt::format("the bootstrap server answered {}", told->status));
  auto ranks = read_mooncake_ranks(std::move(told->body));
  if (!ranks) co_return std::unexpected(std::move(ranks).error());
  context_.mooncake.put(pod, *std::move(ranks), SteadyClock::now());
  co_return *context_.mooncake.find(pod, context_.rng, SteadyClock::now());
}

Task<void> Call::mooncake_legs() {
  const auto rank = co_await find_mooncake_rank(plan_.prefill->to_string(), plan_.prefill->host);
  if (left_) co_return;
  if (!rank) {
    log::write(log::Level::kWarn, plan_.request_id,
               fmt::format("{} tells no engine: {}; the engine here computes the prompt", plan_.prefill->to_string(),
                           rank.error().to_string()));
    metrics().prefill_failures.add();
    metrics().local_prefills.add();
    co_await decode();
    co_return;
  }
  const net::Address bootstrap{.host = plan_.prefill->host, .port = options().mooncake_bootstrap_port, .unix_path = {}};
  const pd::MooncakeMeeting meeting{.transfer_id = "xfer-" + uuid4(context_.rng),
                                    .bootstrap_addr = "http://" + bootstrap.to_string(),
                                    .engine_id = rank->engine_id};
  TwoBodies bodies;
  bodies.prefill_edits = pd::mooncake_prefill_edits(pd::body_kind(path_), meeting);
  bodies.prefill_rank = rank->rank;
  bodies.decode_edits = pd::mooncake_decode_edits(meeting);
  co_await both_legs(std::move(bodies));
}

}  // namespace llmd::sidecar
