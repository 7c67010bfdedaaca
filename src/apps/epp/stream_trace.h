#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "telemetry/span.h"
#include "tracing/tracer.h"

namespace llmd::epp {

/// What a request's spans say: "gateway.request" from its first header to the last byte of its answer, and in it
/// "gateway.request_orchestration" from its parsed body to the decision, as llm-d names them. Does nothing where
/// nothing is traced.
class StreamTrace {
 public:
  /// `tracer` may be null. The request stands below what its own fields say.
  void begin(tracing::Tracer* tracer, std::string_view traceparent, std::string_view tracestate, Rng& chance);
  /// The field traceparent for those that come behind us; empty: what came goes on.
  [[nodiscard]] const std::string& field() const noexcept { return field_; }
  /// The request begins a trace, so that a tracestate that came is of none (W3C Trace Context, 3.2).
  [[nodiscard]] bool is_new() const noexcept { return !field_.empty() && parent_ == SpanId{}; }

  void begin_decision();
  void end_decision(std::string_view target_model, std::int32_t priority);
  /// Why the request goes nowhere.
  void fail(std::string_view why);
  struct End {
    std::string_view request_id;
    std::string_view target_model;
    std::string_view endpoint;
    int status = 0;  // of the answer; 0: none came
  };
  void end(const End& end, Rng& chance);

 private:
  [[nodiscard]] bool sampled() const noexcept { return tracer_ != nullptr && context_.sampled; }

  tracing::Tracer* tracer_ = nullptr;
  TraceContext context_;
  SpanId parent_{};
  std::string field_;
  std::chrono::system_clock::time_point begun_{};
  std::optional<Span> decision_;
  std::string failure_;
};

}  // namespace llmd::epp
