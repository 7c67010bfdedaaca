#include "apps/worker/request_timing.h"

namespace llmd::worker {

void RequestTiming::on_event(std::size_t index, const SequenceEvent& event) {
  const TimePoint now = SteadyClock::now();
  if (!event.tokens.empty() || !event.embedding.empty()) {
    const auto [last, fresh] = last_token_.try_emplace(index, now);
    if (!fresh) {
      call_.metrics().observe_inter_token(now - last->second);
      last->second = now;
    } else if (first_token_ == TimePoint{}) {
      first_token_ = now;
      call_.metrics().observe_first_token(now - call_.arrived());
    }
  }
  if (!event.finish) return;
  ++sequences_;
  call_.metrics().count_finish(*event.finish);
  call_.metrics().observe_sequence(event.times);
  if (!plan_.drop_output) usage_.completion_tokens += event.usage.completion_tokens;
  if (index % plan_.choices_per_prompt != 0) return;
  usage_.prompt_tokens += event.usage.prompt_tokens;
  usage_.cached_tokens += event.usage.cached_tokens;
}

void RequestTiming::on_end() {
  const Duration since_arrival = first_token_ == TimePoint{} ? Duration{} : first_token_ - call_.arrived();
  call_.metrics().observe_request({.prompt_tokens = usage_.prompt_tokens,
                                   .completion_tokens = usage_.completion_tokens,
                                   .choices = sequences_,
                                   .max_tokens = plan_.max_tokens,
                                   .first_token = since_arrival,
                                   .total = SteadyClock::now() - call_.arrived()});
}

void RequestTiming::on_failure() { call_.metrics().count_finish(FinishReason::kCancelled); }

}  // namespace llmd::worker
