#include "exporters/otlp.h"

#include <fmt/format.h>

#include <chrono>
#include <type_traits>

#include "base/protobuf_wire.h"

// The numbers of fields are those of opentelemetry/proto/{trace,common,resource}/v1.
namespace llmd {
namespace {

template <std::size_t N>
std::string_view bytes_of(const std::array<std::uint8_t, N>& id) noexcept {
  return {reinterpret_cast<const char*>(id.data()), id.size()};
}

/// AnyValue {string_value = 1, bool_value = 2, int_value = 3, double_value = 4}.
std::string any_value(const Span::Value& value) {
  WireWriter writer;
  std::visit(
      [&](const auto& held) {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, std::string>) writer.bytes(1, held);
        if constexpr (std::is_same_v<T, bool>) writer.varint(2, held ? 1 : 0);
        if constexpr (std::is_same_v<T, std::int64_t>) writer.varint(3, static_cast<std::uint64_t>(held));
        if constexpr (std::is_same_v<T, double>) writer.fixed64(4, held);
      },
      value);
  return std::move(writer).text();
}

std::string key_value(std::string_view key, const Span::Value& value) {
  return WireWriter{}.bytes(1, key).bytes(2, any_value(value)).text();
}

std::uint64_t nanoseconds_of(std::chrono::system_clock::time_point at) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count());
}

std::string span_message(const Span& span) {
  constexpr std::uint64_t kStatusError = 2;
  WireWriter writer;
  writer.bytes(1, bytes_of(span.context.trace)).bytes(2, bytes_of(span.context.span));
  if (!span.context.state.empty()) writer.bytes(3, span.context.state);
  if (span.parent != SpanId{}) writer.bytes(4, bytes_of(span.parent));
  writer.bytes(5, span.name).varint(6, static_cast<std::uint64_t>(span.kind));
  writer.fixed64(7, nanoseconds_of(span.begin)).fixed64(8, nanoseconds_of(span.end));
  for (const auto& [key, value] : span.attributes) writer.bytes(9, key_value(key, value));
  if (span.failed) {
    WireWriter status;
    if (!span.message.empty()) status.bytes(2, span.message);
    writer.bytes(15, status.varint(3, kStatusError).text());
  }
  return std::move(writer).text();
}

/// What is not printable ASCII, and what JSON must escape, as \u00XX: attributes are for people here.
void append_quoted(std::string_view text, std::string& into) {
  into += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < ' ' || byte > '~' || c == '"' || c == '\\') {
      fmt::format_to(std::back_inserter(into), "\\u{:04x}", byte);
    } else {
      into += c;
    }
  }
  into += '"';
}

}  // namespace

std::string otlp_trace_request(const SpanSource& source, std::span<const Span> spans) {
  WireWriter resource;
  for (const auto& [key, value] : source.resource) resource.bytes(1, key_value(key, value));
  const std::string scope = WireWriter{}.bytes(1, source.scope).bytes(2, source.version).text();
  WireWriter scope_spans;
  scope_spans.bytes(1, scope);
  for (const Span& span : spans) scope_spans.bytes(2, span_message(span));
  const std::string resource_spans = WireWriter{}.bytes(1, resource.text()).bytes(2, scope_spans.text()).text();
  return WireWriter{}.bytes(1, resource_spans).text();
}

std::pair<std::int64_t, std::string> otlp_rejected(std::string_view response) {
  // ExportTraceServiceResponse {partial_success = 1 {rejected_spans = 1, error_message = 2}}.
  std::pair<std::int64_t, std::string> rejected{};
  WireReader outer{response};
  for (WireReader::Field field; outer.next(field);) {
    if (field.number != 1 || field.type != WireReader::Type::kBytes) continue;
    WireReader inner{field.bytes};
    for (WireReader::Field part; inner.next(part);) {
      if (part.number == 1 && part.type == WireReader::Type::kVarint)
        rejected.first = static_cast<std::int64_t>(part.value);
      if (part.number == 2 && part.type == WireReader::Type::kBytes) rejected.second = part.bytes;
    }
  }
  return rejected;
}

std::string span_line(const Span& span) {
  std::string line = R"({"name":)";
  append_quoted(span.name, line);
  const std::string context = traceparent(span.context);
  line += fmt::format(R"(,"trace_id":"{}","span_id":"{}")", context.substr(3, 32), context.substr(36, 16));
  if (span.parent != SpanId{}) {
    const std::string parent = traceparent({.trace = span.context.trace, .span = span.parent});
    line += fmt::format(R"(,"parent_span_id":"{}")", parent.substr(36, 16));
  }
  line += fmt::format(R"(,"start_ns":{},"end_ns":{},"failed":{})", nanoseconds_of(span.begin), nanoseconds_of(span.end),
                      span.failed);
  line += R"(,"attributes":{)";
  bool first = true;
  for (const auto& [key, value] : span.attributes) {
    if (!std::exchange(first, false)) line += ',';
    append_quoted(key, line);
    line += ':';
    std::visit(
        [&](const auto& held) {
          using T = std::decay_t<decltype(held)>;
          if constexpr (std::is_same_v<T, std::string>) {
            append_quoted(held, line);
          } else {
            fmt::format_to(std::back_inserter(line), "{}", held);
          }
        },
        value);
  }
  return line + "}}";
}

}  // namespace llmd
