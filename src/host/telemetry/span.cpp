#include "telemetry/span.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace llmd {
namespace {

constexpr std::size_t kStateBytesMax = 512;  // what must be passed on at least, W3C says

/// Lower-case hexadecimal digits, as many as `into` needs. False: they are none, or all zeros.
template <std::size_t N>
bool read_hex(std::string_view text, std::array<std::uint8_t, N>& into) {
  for (std::size_t i = 0; i < N; ++i) {
    const char* const digits = text.data() + 2 * i;
    if ((digits[0] >= 'A' && digits[0] <= 'F') || (digits[1] >= 'A' && digits[1] <= 'F')) return false;
    if (std::from_chars(digits, digits + 2, into[i], 16).ptr != digits + 2) return false;
  }
  return std::ranges::any_of(into, [](std::uint8_t byte) { return byte != 0; });
}

template <std::size_t N>
void append_hex(const std::array<std::uint8_t, N>& bytes, std::string& into) {
  for (const std::uint8_t byte : bytes) fmt::format_to(std::back_inserter(into), "{:02x}", byte);
}

}  // namespace

std::optional<TraceContext> parse_trace_context(std::string_view traceparent, std::string_view tracestate) {
  // version "-" trace "-" span "-" flags; later versions may have more behind another "-".
  constexpr std::size_t kSize = 55;
  constexpr std::size_t kTraceAt = 3;
  constexpr std::size_t kSpanAt = 36;
  constexpr std::size_t kFlagsAt = 53;
  if (traceparent.size() < kSize || traceparent.starts_with("ff")) return {};
  if (traceparent.starts_with("00") ? traceparent.size() != kSize
                                    : traceparent.size() > kSize && traceparent[kSize] != '-')
    return {};
  std::array<std::uint8_t, 1> version{};
  std::array<std::uint8_t, 1> flags{};
  TraceContext context;
  if (traceparent[2] != '-' || traceparent[kSpanAt - 1] != '-' || traceparent[kFlagsAt - 1] != '-') return {};
  if (!read_hex(traceparent.substr(0, 2), version) && !traceparent.starts_with("00")) return {};
  if (!read_hex(traceparent.substr(kTraceAt, 32), context.trace)) return {};
  if (!read_hex(traceparent.substr(kSpanAt, 16), context.span)) return {};
  if (!read_hex(traceparent.substr(kFlagsAt, 2), flags) && traceparent.substr(kFlagsAt, 2) != "00") return {};
  context.sampled = (flags[0] & 1U) != 0;
  const bool printable = std::ranges::all_of(tracestate, [](char c) { return c >= ' ' && c <= '~'; });
  if (tracestate.size() <= kStateBytesMax && printable) context.state = tracestate;
  return context;
}

std::string traceparent(const TraceContext& context) {
  std::string text = "00-";
  append_hex(context.trace, text);
  text += '-';
  append_hex(context.span, text);
  text += context.sampled ? "-01" : "-00";
  return text;
}

}  // namespace llmd
