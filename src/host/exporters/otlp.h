#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telemetry/span.h"

namespace llmd {

/// Who sends spans: OpenTelemetry's resource and scope.
struct SpanSource {
  std::vector<std::pair<std::string, std::string>> resource{};  // service.name and the like
  std::string scope{};
  std::string version{};
};

/// Spans as opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest on the wire (opentelemetry-proto 1.x).
[[nodiscard]] std::string otlp_trace_request(const SpanSource& source, std::span<const Span> spans);
/// How many of them a collector says that it rejected (ExportTraceServiceResponse), and why; zero for what is none.
[[nodiscard]] std::pair<std::int64_t, std::string> otlp_rejected(std::string_view response);

/// One span as a line of JSON, for people.
[[nodiscard]] std::string span_line(const Span& span);

}  // namespace llmd
