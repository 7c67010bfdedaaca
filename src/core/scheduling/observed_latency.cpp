#include "scheduling/observed_latency.h"

namespace llmd::scheduling {

std::optional<ObservedLatency> observed_latency(const Decision& decision, const Outcome& outcome) {
  if (decision.decode == nullptr) return std::nullopt;
  const bool served = outcome.status == 200 && !outcome.endpoint_failed && !outcome.cancelled && outcome.retries == 0;
  if (!served || outcome.streamed <= Duration{} || outcome.endpoint != decision.decode->name) return std::nullopt;
  ObservedLatency seen{
      .endpoint = outcome.endpoint, .cached_tokens = outcome.cached_tokens, .output_tokens = outcome.completion_tokens};
  const bool apart = !outcome.prefill_endpoint.empty();
  // An answer whose prefill leg failed, or was not wanted by its path, says nothing of either way.
  const bool as_decided = apart == decision.latency.apart && outcome.prefill_error.empty();
  if (as_decided) seen.ttft_ms = static_cast<float>(to_milliseconds(outcome.ttft));
  if (as_decided && apart) seen.prefill_ms = static_cast<float>(to_milliseconds(outcome.prefill));
  if (outcome.completion_tokens > 1 && !outcome.client_slow)
    seen.tpot_ms =
        static_cast<float>(to_milliseconds(outcome.streamed)) / static_cast<float>(outcome.completion_tokens - 1);
  return seen;
}

}  // namespace llmd::scheduling
