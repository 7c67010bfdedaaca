#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace llmd {

using TraceId = std::array<std::uint8_t, 16>;
using SpanId = std::array<std::uint8_t, 8>;

/// Where a piece of work stands in a trace that may cross processes (W3C Trace Context, level 1).
struct TraceContext {
  TraceId trace{};
  SpanId span{};
  bool sampled = false;
  std::string state{};  // of other vendors, passed on as it came
};

/// The fields traceparent and tracestate. Nothing if the first is none.
[[nodiscard]] std::optional<TraceContext> parse_trace_context(std::string_view traceparent,
                                                              std::string_view tracestate);
/// The field traceparent: "00-TRACE-SPAN-01".
[[nodiscard]] std::string traceparent(const TraceContext& context);

/// One piece of work that is done, as OpenTelemetry has it.
struct Span {
  enum class Kind : std::uint8_t { kInternal = 1, kServer = 2, kClient = 3 };
  using Value = std::variant<std::string, std::int64_t, double, bool>;

  std::string name;
  Kind kind = Kind::kInternal;
  TraceContext context{};
  SpanId parent{};  // zeros: none
  std::chrono::system_clock::time_point begin{};
  std::chrono::system_clock::time_point end{};
  std::vector<std::pair<std::string, Value>> attributes{};
  bool failed = false;
  std::string message{};  // why it failed
};

}  // namespace llmd
