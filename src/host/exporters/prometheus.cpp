#include "exporters/prometheus.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

namespace llmd {
namespace {

/// Backslash and line feed escaped; in label values the quote as well.
void append_escaped(std::string& out, std::string_view text, char quote) {
  for (const char byte : text) {
    if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\\' || (quote != '\0' && byte == quote)) {
      out += '\\';
      out += byte;
    } else {
      out += byte;
    }
  }
}

void append_value(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
}

/// `name{labels} value`; `bound` (if not empty) is the label "le".
struct Line {
  std::string_view name;
  std::string_view suffix{};
  const LabelSet& labels;
  std::string_view bound{};
};

void append_line(std::string& out, const Line& line, double value) {
  out += line.name;
  out += line.suffix;
  char separator = '{';
  const auto label = [&](std::string_view name, std::string_view text) {
    out += std::exchange(separator, ',');
    out += name;
    out += "=\"";
    append_escaped(out, text, '"');
    out += '"';
  };
  for (const auto& [name, text] : line.labels) label(name, text);
  if (!line.bound.empty()) label("le", line.bound);
  if (separator == ',') out += '}';
  out += ' ';
  append_value(out, value);
  out += '\n';
}

void append_histogram(std::string& out, std::string_view name, const LabelSet& labels, const Histogram::View& view) {
  for (std::size_t i = 0; i < view.cumulative.size(); ++i) {
    const bool last = i == view.upper_bounds.size();
    const std::string bound = last ? "+Inf" : fmt::format("{}", view.upper_bounds[i]);
    append_line(out, {.name = name, .suffix = "_bucket", .labels = labels, .bound = bound},
                static_cast<double>(view.cumulative[i]));
  }
  append_line(out, {.name = name, .suffix = "_sum", .labels = labels}, view.sum);
  append_line(out, {.name = name, .suffix = "_count", .labels = labels}, static_cast<double>(view.count));
}

std::string_view type_name(MetricType type) noexcept {
  switch (type) {
    case MetricType::kCounter: return "counter";
    case MetricType::kGauge: return "gauge";
    case MetricType::kHistogram: return "histogram";
  }
  return "untyped";
}

}  // namespace

std::string render_prometheus(MetricsRegistry& registry) {
  std::string out;
  for (const auto& family : registry.collect()) {
    out += fmt::format("# HELP {} ", family.name);
    append_escaped(out, family.help, '\0');
    out += fmt::format("\n# TYPE {} {}\n", family.name, type_name(family.type));
    for (const auto& series : family.series) {
      if (series.histogram != nullptr) {
        append_histogram(out, family.name, series.labels, series.histogram->view());
      } else {
        const double value = series.counter != nullptr ? series.counter->value() : series.gauge->value();
        append_line(out, {.name = family.name, .labels = series.labels}, value);
      }
    }
  }
  return out;
}

}  // namespace llmd
