#include "apps/sim/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

namespace llmd::sim {
namespace {

using simulation::Estimate;
using simulation::Summary;

/// A figure of a summary: how it is called, shown and compared.
struct Figure {
  const char* key;
  const char* title;
  double (*of)(const Summary&);
  double scale;  // for people
  int digits;
  bool more_is_better;
};

constexpr Figure kFigures[] = {
    {"goodput", "goodput %", [](const Summary& s) { return s.goodput; }, 100, 1},
    {"goodput_rps", "good req/s", [](const Summary& s) { return s.goodput_rps; }, 1, 2},
    {"arrivals_rps", "req/s", [](const Summary& s) { return s.arrivals_rps; }, 1, 2},
    {"ttft_p50_ms", "TTFT p50", [](const Summary& s) { return s.ttft_ms.p50; }, 1, 0},
    {"ttft_p90_ms", "p90", [](const Summary& s) { return s.ttft_ms.p90; }, 1, 0},
    {"ttft_p99_ms", "p99 ms", [](const Summary& s) { return s.ttft_ms.p99; }, 1, 0},
    {"tpot_p50_ms", "TPOT p50", [](const Summary& s) { return s.tpot_ms.p50; }, 1, 1},
    {"tpot_p90_ms", "p90", [](const Summary& s) { return s.tpot_ms.p90; }, 1, 1},
    {"tpot_p99_ms", "p99 ms", [](const Summary& s) { return s.tpot_ms.p99; }, 1, 1},
    {"e2e_p50_ms", "E2E p50", [](const Summary& s) { return s.total_ms.p50; }, 1, 0},
    {"e2e_p90_ms", "p90", [](const Summary& s) { return s.total_ms.p90; }, 1, 0},
    {"e2e_p99_ms", "p99 ms", [](const Summary& s) { return s.total_ms.p99; }, 1, 0},
    {"hit_rate", "hits %", [](const Summary& s) { return s.hit_rate; }, 100, 1},
    {"busy_mean", "busy %", [](const Summary& s) { return s.busy_mean; }, 100, 0},
    {"busy_variation", "CV %", [](const Summary& s) { return s.busy_variation; }, 100, 1},
    {"load_variation", "load CV %", [](const Summary& s) { return s.load_variation; }, 100, 1},
    {"fairness", "Jain", [](const Summary& s) { return s.fairness; }, 1, 3},
    {"tokens_per_s", "tok/s", [](const Summary& s) { return s.tokens_per_s; }, 1, 0},
    {"failed", "failed", [](const Summary& s) { return static_cast<double>(s.failed); }, 1, 0},
};

Estimate estimate_of(const PolicyResult& policy, const Figure& figure) {
  std::vector<double> values;
  for (const Summary& run : policy.runs) values.push_back(figure.of(run));
  return simulation::estimate(values);
}

/// For HTML: names may be paths of files.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string cell(const PolicyResult& policy, const Figure& figure) {
  const Estimate value = estimate_of(policy, figure);
  std::string text = fmt::format("{:.{}f}", value.mean * figure.scale, figure.digits);
  if (policy.runs.size() > 1) text += fmt::format("±{:.{}f}", value.half_width * figure.scale, figure.digits);
  return text;
}

std::vector<const PolicyResult*> best_first(const Comparison& comparison) {
  std::vector<const PolicyResult*> order;
  for (const PolicyResult& policy : comparison.policies) order.push_back(&policy);
  std::ranges::sort(order, [](const PolicyResult* a, const PolicyResult* b) {
    const double ga = estimate_of(*a, kFigures[0]).mean;
    const double gb = estimate_of(*b, kFigures[0]).mean;
    return ga != gb ? ga > gb : a->name < b->name;
  });
  return order;
}

// Characters, not bytes: "±" is one.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(const std::string& text, std::size_t width, bool left) {
  const std::string blanks(width - std::min(width, width_of(text)), ' ');
  return left ? text + blanks : blanks + text;
}

/// What the half widths mean.
std::string_view intervals_of(const Comparison& comparison) {
  if (comparison.policies.empty() || comparison.policies.front().runs.size() < 2) return "";
  return comparison.same_for_each_seed ? "; ±: 95 % intervals over the policies' own chance, the trace is the same"
                                       : "; ±: 95 % intervals over seeds";
}

/// The bars of one figure.
std::string chart(const Comparison& comparison, const Figure& figure) {
  const auto order = best_first(comparison);
  double most = 0;
  for (const PolicyResult* policy : order) most = std::max(most, estimate_of(*policy, figure).mean);
  std::string svg =
      fmt::format("<h2>{}</h2>\n<svg width=\"720\" height=\"{}\" role=\"img\">\n", figure.key, order.size() * 24 + 4);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Estimate value = estimate_of(*order[i], figure);
    const double length = most > 0 ? value.mean / most * 400 : 0;
    const std::size_t y = i * 24 + 4;
    svg += fmt::format(
        "<text x=\"190\" y=\"{}\" text-anchor=\"end\">{}</text><rect x=\"200\" y=\"{}\" width=\"{:.1f}\" "
        "height=\"16\"/>"
        "<text x=\"{:.1f}\" y=\"{}\">{}</text>\n",
        y + 13, escaped(order[i]->name), y, length, 208 + length, y + 13, cell(*order[i], figure));
  }
  return svg + "</svg>\n";
}

}  // namespace

std::string table(const Comparison& comparison) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> head{"policy"};
  for (const Figure& figure : kFigures) head.emplace_back(figure.title);
  head.emplace_back("decisions/s");
  rows.push_back(std::move(head));
  for (const PolicyResult* policy : best_first(comparison)) {
    std::vector<std::string> row{policy->name};
    for (const Figure& figure : kFigures) row.push_back(cell(*policy, figure));
    row.push_back(policy->deciding_s > 0
                      ? fmt::format("{:.0f}", static_cast<double>(policy->decisions) / policy->deciding_s)
                      : "-");
    rows.push_back(std::move(row));
  }
  std::string out = fmt::format("{}: {:.2f} requests/s{}\n", comparison.workload, comparison.arrivals_per_s,
                                intervals_of(comparison));
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      std::size_t width = 0;
      for (const auto& each : rows) width = std::max(width, width_of(each[c]));
      out += padded(row[c], width, c == 0);
      out += c + 1 == row.size() ? "\n" : "  ";
    }
  }
  return out;
}

std::string json(const Comparison& comparison) {
  nlohmann::ordered_json policies = nlohmann::ordered_json::array();
  for (const PolicyResult& policy : comparison.policies) {
    nlohmann::ordered_json entry{{"name", policy.name}, {"runs", policy.runs.size()}};
    for (const Figure& figure : kFigures) {
      const Estimate value = estimate_of(policy, figure);
      entry[figure.key] = value.mean;
      if (policy.runs.size() > 1) entry[std::string{figure.key} + "_half_width"] = value.half_width;
    }
    policies.push_back(std::move(entry));
  }
  const nlohmann::ordered_json document{{"workload", comparison.workload},
                                        {"arrivals_per_s", comparison.arrivals_per_s},
                                        {"policies", std::move(policies)}};
  return document.dump(2) + "\n";
}

std::string html(const Comparison& comparison) {
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>llmd sim: {0}</title>\n<style>"
      "body{{font:14px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#1b1f24}}"
      "table{{border-collapse:collapse;width:100%}}th,td{{text-align:right;padding:3px 8px;border-bottom:1px solid "
      "#d8dee4}}"
      "th:first-child,td:first-child{{text-align:left}}tr:nth-child(2){{font-weight:600}}rect{{fill:#2f6f9f}}"
      "svg text{{font:13px system-ui,sans-serif;fill:#1b1f24}}h2{{font-size:15px;margin-bottom:0}}"
      "@media(prefers-color-scheme:dark){{body{{background:#0d1117;color:#e6edf3}}svg text{{fill:#e6edf3}}"
      "th,td{{border-color:#30363d}}}}</style>\n<h1>{0}</h1>\n<p>{1:.2f} requests/s{2}; best goodput "
      "first.</p>\n<table><tr><th>policy</th>",
      escaped(comparison.workload), comparison.arrivals_per_s, intervals_of(comparison));
  for (const Figure& figure : kFigures) out += fmt::format("<th>{}</th>", figure.title);
  out += "</tr>\n";
  for (const PolicyResult* policy : best_first(comparison)) {
    out += fmt::format("<tr><td>{}</td>", escaped(policy->name));
    for (const Figure& figure : kFigures) out += fmt::format("<td>{}</td>", cell(*policy, figure));
    out += "</tr>\n";
  }
  out += "</table>\n";
  for (const Figure& figure : kFigures) {
    const std::string_view key = figure.key;
    if (key == "goodput" || key == "ttft_p90_ms" || key == "tpot_p90_ms" || key == "hit_rate" ||
        key == "load_variation")
      out += chart(comparison, figure);
  }
  return out + "</html>\n";
}

}  // namespace llmd::sim
