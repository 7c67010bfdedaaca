#include "apps/sim/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/sim/plots.h"

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
    {"best_instance", "best %", [](const Summary& s) { return s.best_instance; }, 100, 1},
    {"regret_ms", "regret ms", [](const Summary& s) { return s.regret_ms; }, 1, 1},
    {"failed", "failed", [](const Summary& s) { return static_cast<double>(s.failed); }, 1, 0},
};

Estimate estimate_of(const PolicyResult& policy, const Figure& figure) {
  std::vector<double> values;
  for (const Summary& run : policy.runs) values.push_back(figure.of(run));
  return simulation::estimate(values);
}

/// Those that this comparison has.
std::vector<Figure> figures_of(const Comparison& comparison) {
  const bool asked = std::ranges::any_of(comparison.policies, [](const PolicyResult& policy) {
    return std::ranges::any_of(policy.runs, [](const Summary& run) { return run.oracle_decisions > 0; });
  });
  std::vector<Figure> figures;
  for (const Figure& figure : kFigures) {
    const std::string_view key = figure.key;
    if (asked || (key != "best_instance" && key != "regret_ms")) figures.push_back(figure);
  }
  return figures;
}

const Figure& figure_of(std::string_view key) {
  return *std::ranges::find(kFigures, key, [](const Figure& figure) { return std::string_view{figure.key}; });
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

/// How TTFT is spread, a line a policy: its inverse distribution, mean over the seeds.
std::string ttft_plot(const Comparison& comparison) {
  Plot plot{.title = fmt::format("Time to the first token at load {:g}", comparison.load),
            .x_title = "ms (logarithmic)",
            .y_title = "% of requests",
            .log_x = true,
            .lines = {}};
  for (const PolicyResult& policy : comparison.policies) {
    PlotLine& line = plot.lines.emplace_back(PlotLine{.name = policy.name, .points = {}});
    for (std::size_t i = 0; i < simulation::kQuantiles; ++i) {
      double sum = 0;
      for (const Summary& run : policy.runs) sum += run.ttft_quantiles_ms[i];
      line.points.emplace_back(sum / static_cast<double>(policy.runs.size()), 100 * simulation::quantile_share(i));
    }
  }
  return line_plot(plot);
}

/// One figure over the loads, a line a policy.
std::string load_plot(std::span<const Comparison> comparisons, const Figure& figure, Plot plot) {
  plot.x_title = "load";
  for (std::size_t p = 0; p < comparisons.front().policies.size(); ++p) {
    PlotLine& line = plot.lines.emplace_back(PlotLine{.name = comparisons.front().policies[p].name, .points = {}});
    for (const Comparison& comparison : comparisons)
      line.points.emplace_back(comparison.load, estimate_of(comparison.policies[p], figure).mean * figure.scale);
    std::ranges::sort(line.points);
  }
  return line_plot(plot);
}

nlohmann::ordered_json json_of(const Comparison& comparison) {
  nlohmann::ordered_json policies = nlohmann::ordered_json::array();
  for (const PolicyResult& policy : comparison.policies) {
    nlohmann::ordered_json entry{{"name", policy.name}, {"runs", policy.runs.size()}};
    for (const Figure& figure : figures_of(comparison)) {
      const Estimate value = estimate_of(policy, figure);
      entry[figure.key] = value.mean;
      if (policy.runs.size() > 1) entry[std::string{figure.key} + "_half_width"] = value.half_width;
    }
    policies.push_back(std::move(entry));
  }
  return {{"workload", comparison.workload},
          {"load", comparison.load},
          {"arrivals_per_s", comparison.arrivals_per_s},
          {"policies", std::move(policies)}};
}

std::string html_table(const Comparison& comparison) {
  std::string out = fmt::format("<h2>Load {:g}: {:.2f} requests/s</h2>\n<table><tr><th>policy</th>", comparison.load,
                                comparison.arrivals_per_s);
  for (const Figure& figure : figures_of(comparison)) out += fmt::format("<th>{}</th>", figure.title);
  out += "</tr>\n";
  for (const PolicyResult* policy : best_first(comparison)) {
    out += fmt::format("<tr><td>{}</td>", escaped(policy->name));
    for (const Figure& figure : figures_of(comparison)) out += fmt::format("<td>{}</td>", cell(*policy, figure));
    out += "</tr>\n";
  }
  return out + "</table>\n";
}

}  // namespace

std::string table(const Comparison& comparison) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> head{"policy"};
  for (const Figure& figure : figures_of(comparison)) head.emplace_back(figure.title);
  head.emplace_back("decisions/s");
  head.emplace_back("p99 us");
  rows.push_back(std::move(head));
  for (const PolicyResult* policy : best_first(comparison)) {
    std::vector<std::string> row{policy->name};
    for (const Figure& figure : figures_of(comparison)) row.push_back(cell(*policy, figure));
    row.push_back(policy->deciding_s > 0
                      ? fmt::format("{:.0f}", static_cast<double>(policy->decisions) / policy->deciding_s)
                      : "-");
    row.push_back(fmt::format("{:.1f}", policy->decision_p99_us));
    rows.push_back(std::move(row));
  }
  std::string out = fmt::format("{}: load {:g}, {:.2f} requests/s{}\n", comparison.workload, comparison.load,
                                comparison.arrivals_per_s, intervals_of(comparison));
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

std::string json(const std::vector<Comparison>& comparisons) {
  if (comparisons.size() == 1) return json_of(comparisons.front()).dump(2) + "\n";
  nlohmann::ordered_json each = nlohmann::ordered_json::array();
  for (const Comparison& comparison : comparisons) each.push_back(json_of(comparison));
  return nlohmann::ordered_json{{"comparisons", std::move(each)}}.dump(2) + "\n";
}

std::string html(const std::vector<Comparison>& comparisons) {
  const Comparison& first = comparisons.front();
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>llmd sim: {0}</title>\n<style>"
      "body{{font:14px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#1b1f24}}"
      "table{{border-collapse:collapse;font-size:12px}}th,td{{text-align:right;padding:3px 6px;border-bottom:1px solid "
      "#d8dee4}}"
      "th:first-child,td:first-child{{text-align:left;white-space:nowrap}}tr:nth-child(2){{font-weight:600}}"
      "svg text{{font:12px system-ui,sans-serif;fill:currentColor}}h2{{font-size:15px;margin:1.5em 0 .3em}}"
      "@media(prefers-color-scheme:dark){{body{{background:#0d1117;color:#e6edf3}}th,td{{border-color:#30363d}}}}"
      "</style>\n<h1>{0}</h1>\n<p>Best goodput first{1}.</p>\n",
      escaped(first.workload), intervals_of(first));
  if (comparisons.size() > 1) {
    out += load_plot(comparisons, figure_of("goodput"), {.title = "Goodput over the load", .y_title = "%"});
    out += load_plot(comparisons, figure_of("ttft_p90_ms"),
                     {.title = "TTFT p90 over the load", .y_title = "ms (logarithmic)", .log_y = true});
  }
  for (const Comparison& comparison : comparisons) out += html_table(comparison) + ttft_plot(comparison);
  return out + "</html>\n";
}

}  // namespace llmd::sim
