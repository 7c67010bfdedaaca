#include "apps/worker/kv_transfer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace llmd::worker {
namespace {

std::string header_of(const KvArrival& arrival) {
  std::string text = fmt::format("blocks={}, bytes={}, recomputed_tokens={}", arrival.blocks, arrival.bytes,
                                 arrival.recomputed_tokens);
  if (arrival.error) text += fmt::format(", error={}", error_code_name(arrival.error->code));
  return text;
}

}  // namespace

Result<void> prepare_prefill_leg(openai::GenerationRequest& request) {
  if (!request.kv_transfer || !request.kv_transfer->do_remote_decode) return {};
  if (request.stream) {
    return std::unexpected(Error{.code = ErrorCode::kInvalidRequest,
                                 .what = "kv_transfer_params.do_remote_decode is true and so is stream",
                                 .hint = "send the prefill leg with stream false",
                                 .param = "stream"});
  }
  request.choices = 1;
  request.max_tokens = 1;
  request.sampling.min_tokens = std::min(request.sampling.min_tokens, 1U);
  return {};
}

Task<void> KvTransfer::receive(std::span<const std::vector<TokenId>> prompts, Generation& generation) {
  KvExchange* exchange = service_.kv();
  if (exchange == nullptr || !request_.kv_transfer || !request_.kv_transfer->do_remote_prefill) co_return;
  const DisconnectWatch watch{call_.exchange(), [this] { token_.cancel(); }};
  KvArrival arrival = co_await exchange->receive(*request_.kv_transfer, named(prompts), token_);
  generation.hold(std::move(arrival.pinned));
  call_.add_header(kKvTransferHeader, header_of(arrival));
}

const openai::KvTransferParams* KvTransfer::keep(std::span<const std::vector<TokenId>> prompts) {
  KvExchange* exchange = service_.kv();
  if (exchange == nullptr || !request_.kv_transfer || !request_.kv_transfer->do_remote_decode) return nullptr;
  kept_ = exchange->keep(named(prompts));
  return kept_ ? &*kept_ : nullptr;
}

}  // namespace llmd::worker
