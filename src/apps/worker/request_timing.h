#pragma once

#include <cstddef>
#include <unordered_map>

#include "api/openai/answer.h"
#include "apps/worker/answer_builder.h"
#include "apps/worker/call.h"
#include "base/clock.h"
#include "engine/engine.h"

namespace llmd::worker {

/// Measures one request from its events: first token, gaps, usage. Reports to the metrics.
class RequestTiming {
 public:
  RequestTiming(Call& call, const AnswerPlan& plan) noexcept : call_{call}, plan_{plan} {}

  void on_event(std::size_t index, const SequenceEvent& event);
  void on_end();
  void on_failure();
  [[nodiscard]] openai::Usage usage() const noexcept { return usage_; }

 private:
  Call& call_;
  const AnswerPlan plan_;
  openai::Usage usage_;
  std::unordered_map<std::size_t, TimePoint> last_token_;
  TimePoint first_token_{};
  std::uint32_t sequences_ = 0;
};

}  // namespace llmd::worker
