#include "config/metric_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace llmd::config {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

/// Metric names may have colons, names of labels may not.
bool is_name(std::string_view text, bool colons) {
  const auto allowed = [colons](char c) { return is_letter(c) || (c >= '0' && c <= '9') || (colons && c == ':'); };
  return !text.empty() && !(text.front() >= '0' && text.front() <= '9') && std::ranges::all_of(text, allowed);
}

std::unexpected<Error> not_a_spec(std::string_view text, std::string_view why) {
  return fail(ErrorCode::kConfigInvalid, fmt::format("\"{}\" names no series: {}", text.substr(0, 128), why),
              "write name or name{label=value,...}");
}

/// Takes a value off `rest`: up to the closing quote, else to the next comma.
Result<std::string> take_value(std::string_view& rest, std::string_view whole) {
  rest = rest.substr(std::min(rest.find_first_not_of(kBlanks), rest.size()));
  std::string value;
  if (rest.starts_with('"')) {
    const std::size_t end = rest.find('"', 1);
    if (end == std::string_view::npos) return not_a_spec(whole, "a quote does not end");
    value = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    if (const auto tail = trimmed(rest.substr(0, rest.find(','))); !tail.empty())
      return not_a_spec(whole, "something follows a quoted value");
  } else {
    value = trimmed(rest.substr(0, rest.find(',')));
    if (value.empty()) return not_a_spec(whole, "a label has no value");
    if (value.find_first_of("\" \t={}") != std::string::npos) return not_a_spec(whole, "a value needs quotes");
  }
  rest.remove_prefix(std::min(rest.find(','), rest.size()));
  return value;
}

}  // namespace

Result<MetricSpec> parse_metric_spec(std::string_view text) {
  const std::string_view whole = trimmed(text);
  MetricSpec spec;
  if (whole.empty()) return spec;
  const std::size_t brace = whole.find('{');
  spec.name = trimmed(whole.substr(0, brace));
  if (!is_name(spec.name, /*colons=*/true)) return not_a_spec(whole, "its name is none");
  if (brace == std::string_view::npos) return spec;
  if (!whole.ends_with('}')) return not_a_spec(whole, "the labels do not end with }");
  std::string_view rest = whole.substr(brace + 1, whole.size() - brace - 2);
  while (!trimmed(rest).empty()) {
    const std::size_t equals = rest.find('=');
    if (equals == std::string_view::npos) return not_a_spec(whole, "a label has no value");
    MetricSpec::Label label{.name = std::string{trimmed(rest.substr(0, equals))}, .value = {}};
    if (!is_name(label.name, /*colons=*/false)) return not_a_spec(whole, "the name of a label is none");
    rest.remove_prefix(equals + 1);
    LLMD_TRY(label.value, take_value(rest, whole));
    spec.labels.push_back(std::move(label));
    const bool more = rest.starts_with(',');
    if (more) rest.remove_prefix(1);
    if (more && trimmed(rest).empty()) return not_a_spec(whole, "a comma ends the labels");
  }
  return spec;
}

}  // namespace llmd::config
