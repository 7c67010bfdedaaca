#pragma once

#include <optional>
#include <vector>

#include "api/openai/generation_request.h"
#include "apps/worker/call.h"
#include "apps/worker/generation.h"
#include "apps/worker/kv_exchange.h"
#include "apps/worker/service.h"

namespace llmd::worker {

/// The header of a decode worker's answer that tells what was moved for it, as
/// "blocks=12, bytes=8847360, recomputed_tokens=0" and, if something did not come, ", error=" and the error's code.
inline constexpr std::string_view kKvTransferHeader = "x-llmd-kv-transfer";

/// A prefill leg makes one token of one choice, whatever its body asks for. Error kInvalidRequest: it is streamed, so
/// that nothing could be told to the decode worker.
[[nodiscard]] Result<void> prepare_prefill_leg(openai::GenerationRequest& request);

/// The part that one request has in prefill and decode on different workers; nothing, if it has no kv_transfer_params.
/// Lives in the handler's coroutine.
class KvTransfer {
 public:
  /// All three must outlive it.
  KvTransfer(Service& service, Call& call, const openai::GenerationRequest& request) noexcept
      : service_{service}, call_{call}, request_{request} {}

  /// Decode leg: waits for the prompts' blocks, has `generation` hold them until its sequences have begun, and adds the
  /// header. Call it before the sequences are submitted.
  [[nodiscard]] Task<void> receive(std::span<const std::vector<TokenId>> prompts, Generation& generation);

  /// Prefill leg, once its sequences have finished: what the answer says. Null for other requests.
  [[nodiscard]] const openai::KvTransferParams* keep(std::span<const std::vector<TokenId>> prompts);

 private:
  [[nodiscard]] KvPrompts named(std::span<const std::vector<TokenId>> prompts) const {
    return {.prompts = prompts, .cache_salt = request_.cache_salt, .request_id = call_.id()};
  }
  Service& service_;
  Call& call_;
  const openai::GenerationRequest& request_;
  net::CancelToken token_;
  std::optional<openai::KvTransferParams> kept_;
};

}  // namespace llmd::worker
