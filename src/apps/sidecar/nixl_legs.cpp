// nixlv2, and its variant MoRI-IO: the decode leg carries what the prefill endpoint said.
#include <fmt/format.h>

#include <utility>

#include "api/openai/body_edits.h"
#include "apps/sidecar/call.h"
#include "base/uuid.h"
#include "pd/moriio.h"
#include "pd/nixl.h"
#include "telemetry/log.h"

namespace llmd::sidecar {
namespace {

/// The decode leg's edits, of the prefill endpoint's answer. With `moriio`, its words are completed, and `rank` becomes
/// the one that it ran on.
Result<pd::FieldEdits> decode_edits(std::string& answer, const pd::MoriioOptions* moriio, pd::MoriioPlan& plan) {
  LLMD_TRY(const std::optional<std::string_view> raw, openai::raw_member(answer, pd::kTransferField));
  std::string params{raw.value_or(std::string_view{})};
  if (moriio != nullptr && params.starts_with('{')) {
    LLMD_TRY(const std::optional<std::string_view> told, openai::raw_member(params, "remote_dp_rank"));
    plan.rank = pd::moriio_decode_rank(told, *moriio, plan);
    const pd::FieldEdits edits = pd::moriio_params_edits(*moriio, plan, plan.rank);
    LLMD_TRY(params, openai::apply_edits(params, edits));
  }
  return pd::nixl_decode_edits(params);
}

}  // namespace

Task<void> Call::nixl_legs() {
  const bool writes = options().moriio.write_mode;
  const std::shared_ptr<const pd::MoriioOptions> moriio = context_.shared.moriio.current();
  pd::MoriioPlan plan;
  std::string rank;
  const std::string id = uuid4(context_.rng);
  if (writes) plan = {.transfer_id = "tx" + id, .rank = pd::moriio_rank(id, moriio->dp_size)};
  if (moriio->dp_size > 1) rank = std::to_string(pd::moriio_rank(id, moriio->dp_size));
  if (options().moriio.parallel) {
    co_await moriio_parallel_legs(std::move(plan));
    co_return;
  }
  const pd::BodyKind kind = pd::body_kind(path_);
  const auto source = pulled_from();
  const pd::KvSource* const from = source ? &*source : nullptr;
  pd::FieldEdits edits =
      writes ? pd::moriio_prefill_edits(kind, *moriio, plan, from) : pd::nixl_prefill_edits(kind, from);
  PrefillEnd end = co_await prefill(std::move(edits), rank);
  if (end.end == Prefill::kAnswered) co_return;
  if (end.end == Prefill::kDone) {
    const std::uint32_t cached = cached_tokens_of(end.answer.body);
    auto second = decode_edits(end.answer.body, writes ? moriio.get() : nullptr, plan);
    if (second) {
      const bool edited = co_await edit_body(*second);
      if (!edited) co_return;
      cached_tokens_ = cached;
      if (writes && moriio->dp_size > 1) decode_rank_ = std::to_string(plan.rank);
    } else {
      log::write(log::Level::kWarn, plan_.request_id,
                 fmt::format("{}: {}; the engine here computes the prompt", plan_.prefill->to_string(),
                             second.error().to_string()));
      metrics().prefill_failures.add();
      metrics().local_prefills.add();
    }
  }
  co_await decode();
}

}  // namespace llmd::sidecar
