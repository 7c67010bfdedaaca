#include "apps/sidecar/call.h"

#include <fmt/format.h>

#include <utility>

#include "api/openai/body_edits.h"
#include "api/openai/routing_fields.h"
#include "apps/sidecar/encode_batch.h"
#include "apps/sidecar/error_answer.h"
#include "apps/sidecar/partner.h"
#include "base/percent_decoding.h"
#include "pd/offloading.h"
#include "telemetry/log.h"

namespace llmd::sidecar {
namespace {

constexpr std::string_view kHealth = "/health";
/// The engine's own health, which "/health" hides: a sidecar is up before its engine.
constexpr std::string_view kEngineHealth = "/health/engine";

}  // namespace

Call::Call(LoopContext& context, net::Request request, net::Exchange& exchange, unsigned rank)
    : context_{context},
      request_{std::move(request)},
      exchange_{exchange},
      rank_{rank},
      path_{percent_decoded(request_.path())},
      body_{std::move(request_.body)} {}

Task<void> Call::run() {
  metrics().in_flight.add(1);
  exchange_.on_disconnect([this] { client_left(); });
  if (!left_) co_await serve();
  exchange_.on_disconnect(nullptr);
  if (left_) metrics().cancelled.add();
  metrics().in_flight.add(-1);
}

Task<void> Call::serve() {
  if (request_.method == "GET" && path_ == kHealth) {
    net::Response up;
    co_await answer(std::move(up));
    co_return;
  }
  // Whatever the path: engines may have more of them that generate, and other names for these.
  if (options().protects() && openai::may_steer(body_)) {
    auto stripped = openai::without_steering(body_);
    if (!stripped) {
      co_await answer(400, fmt::format("fields of the body that may not be sent on cannot be told from the others: {}",
                                       stripped.error().what));
      co_return;
    }
    body_ = *std::move(stripped);
  }
  const auto allowed = context_.shared.allowed.current();
  plan_ = make_plan(request_, {.options = options(), .allowed = allowed.get(), .rank = rank_, .rng = context_.rng});
  metrics().denied.add(plan_.dropped);
  if (request_.method == "POST" && is_split_path(path_)) {
    co_await serve_split();
    co_return;
  }
  if (request_.method == "GET" && path_ == kEngineHealth) request_.target = kHealth;
  chunkable_ = false;
  metrics().proxied.add();
  co_await decode();
}

Task<void> Call::serve_split() {
  if (!plan_.prefill_denied.empty()) {
    metrics().denied.add();
    log::warn("{} asks for a prefill at {}, which is not allowed", request_.peer, plan_.prefill_denied.substr(0, 200));
    co_await answer(403, "the prefill target is not one of the pool's");
    co_return;
  }
  if (plan_.rank_unknown) {
    co_await answer(400, "x-data-parallel-host-port names no rank of this pod");
    co_return;
  }
  if (!plan_.encoders.empty()) {
    reads_answer_ = true;
    plan_.kv_source.reset();
    const bool encoded = co_await encode();
    if (!encoded) co_return;
  }
  if (plan_.prefill_unusable) {
    log::warn("x-prefiller-host-port is no address; the engine here computes the prompt");
    metrics().local_prefills.add();
  }
  if (!plan_.prefill) {
    metrics().local.add();
    const bool own =
        plan_.kv_source && plan_.kv_source->host == options().pod_ip && plan_.kv_source->port == options().port + rank_;
    chunkable_ = !plan_.rank;
    if (plan_.kv_source && !plan_.rank && !own) {
      const auto source = pulled_from();
      const bool edited = co_await edit_body(pd::kv_source_edits(*source));
      if (!edited) co_return;
    }
    co_await decode();
    co_return;
  }
  metrics().split.add();
  reads_answer_ = true;
  switch (options().connector) {
    case pd::Connector::kNixl: co_await nixl_legs(); break;
    case pd::Connector::kSharedStorage: co_await shared_storage_legs(); break;
    case pd::Connector::kSglang: co_await sglang_legs(); break;
    case pd::Connector::kMooncake: co_await mooncake_legs(); break;
    case pd::Connector::kOffloading: co_await offloading_legs(); break;
  }
}

Task<void> Call::answer(net::Response response) {
  if (left_) co_return;
  sent_ = true;
  const auto sent = co_await exchange_.respond(std::move(response));
  if (!sent) client_left();
}

Task<void> Call::answer(int status, std::string message) {
  net::Response response = error_answer(status, message);
  co_await answer(std::move(response));
}

Task<bool> Call::edit_body(const pd::FieldEdits& edits) {
  auto edited = openai::apply_edits(body_, edits);
  if (!edited) {
    co_await answer(400, edited.error().what);
    co_return false;
  }
  body_ = *std::move(edited);
  co_return true;
}

void Call::client_left() {
  if (std::exchange(left_, true)) return;
  if (engine_ != nullptr) engine_->cancel();
  if (leg_ != nullptr) leg_->cancel();
  if (partner_ != nullptr) partner_->leg.cancel();
  if (encodes_ != nullptr) encodes_->cancel();
}

}  // namespace llmd::sidecar
