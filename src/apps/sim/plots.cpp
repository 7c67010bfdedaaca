#include "apps/sim/plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string_view>

namespace llmd::sim {
namespace {

constexpr double kLeft = 64;
constexpr double kTop = 8;
constexpr double kWidth = 520;
constexpr double kHeight = 260;
constexpr double kLegendX = kLeft + kWidth + 16;
constexpr double kRow = 19;
constexpr int kTicks = 5;

// Okabe and Ito's colours, which most people can tell apart; beyond them the lines are dashed.
constexpr std::array<std::string_view, 7> kColours{"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                   "#e69f00", "#56b4e9", "#7f7f7f"};
constexpr std::array<std::string_view, 3> kDashes{"", "6 3", "2 2"};

struct Range {
  double low = std::numeric_limits<double>::max();
  double high = std::numeric_limits<double>::lowest();
  bool log = false;

  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  /// 0 to 1; a range without width is in the middle.
  [[nodiscard]] double place(double value) const {
    const double from = log ? std::log(low) : low;
    const double to = log ? std::log(high) : high;
    return to > from ? ((log ? std::log(value) : value) - from) / (to - from) : 0.5;
  }
  [[nodiscard]] std::vector<double> ticks() const;
};

/// 1, 2 or 5 times a power of ten: the first that is at least `least`.
double round_step(double least) {
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least) return factor * power;
  }
  return 10 * power;
}

std::vector<double> Range::ticks() const {
  std::vector<double> ticks;
  if (!(high - low > 1e-9 * std::max(std::abs(low), std::abs(high)))) return {low};
  if (log) {
    for (double power = std::pow(10.0, std::floor(std::log10(low))); power <= high; power *= 10) {
      for (const double factor : {1.0, 2.0, 5.0}) {
        if (factor * power >= low && factor * power <= high) ticks.push_back(factor * power);
      }
    }
    return ticks;
  }
  const double step = round_step((high - low) / kTicks);
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) ticks.push_back(i * step);
  return ticks;
}

struct Axes {
  Range x;
  Range y;
  [[nodiscard]] bool shows(const std::pair<double, double>& point) const {
    return (!x.log || point.first > 0) && (!y.log || point.second > 0);
  }
  [[nodiscard]] double left(double value) const { return kLeft + kWidth * x.place(value); }
  [[nodiscard]] double top(double value) const { return kTop + kHeight * (1 - y.place(value)); }
};

std::string grid(const Plot& plot, const Axes& axes) {
  std::string svg = "<g stroke=\"currentColor\" stroke-opacity=\".15\">\n";
  for (const double tick : axes.x.ticks())
    svg += fmt::format("<path d=\"M{0:.1f} {1}v{2}\"/>", axes.left(tick), kTop, kHeight);
  for (const double tick : axes.y.ticks())
    svg += fmt::format("<path d=\"M{0} {1:.1f}h{2}\"/>", kLeft, axes.top(tick), kWidth);
  svg += "</g>\n";
  for (const double tick : axes.x.ticks())
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.4g}</text>", axes.left(tick),
                       kTop + kHeight + 18, tick);
  for (const double tick : axes.y.ticks())
    svg += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.4g}</text>", kLeft - 6, axes.top(tick) + 4,
                       tick);
  svg += fmt::format("\n<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", kLeft + kWidth / 2,
                     kTop + kHeight + 38, escaped(plot.x_title));
  svg += fmt::format("<text transform=\"translate(14 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
                     kTop + kHeight / 2, escaped(plot.y_title));
  return svg;
}

std::string line(const PlotLine& each, std::size_t place, const Axes& axes) {
  const std::string style =
      fmt::format("fill=\"none\" stroke=\"{}\" stroke-width=\"2\" stroke-dasharray=\"{}\"",
                  kColours[place % kColours.size()], kDashes[place / kColours.size() % kDashes.size()]);
  std::string points;
  for (const auto& point : each.points) {
    if (axes.shows(point)) points += fmt::format("{:.1f},{:.1f} ", axes.left(point.first), axes.top(point.second));
  }
  const double row = kTop + kRow * static_cast<double>(place) + 8;
  const std::string name = escaped(each.name);
  return fmt::format(
      "<g><title>{0}</title><polyline points=\"{1}\" {2}/><path d=\"M{3} {4}h24\" {2}/>"
      "<text x=\"{5}\" y=\"{6}\">{0}</text></g>\n",
      name, points, style, kLegendX, row, kLegendX + 30, row + 4);
}

}  // namespace

std::string escaped(const std::string& text) {
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

std::string line_plot(const Plot& plot) {
  Axes axes{.x = {.log = plot.log_x}, .y = {.log = plot.log_y}};
  for (const PlotLine& each : plot.lines) {
    for (const auto& point : each.points) {
      if (!axes.shows(point)) continue;
      axes.x.take(point.first);
      axes.y.take(point.second);
    }
  }
  std::string svg = fmt::format("<h2>{}</h2>\n", escaped(plot.title));
  if (axes.x.high < axes.x.low) return svg + "<p>nothing to show</p>\n";
  const double rows = kTop + kRow * static_cast<double>(plot.lines.size());
  svg += fmt::format("<svg width=\"{}\" height=\"{}\" role=\"img\">\n", kLegendX + 240,
                     std::max(kTop + kHeight + 46, rows + 8));
  svg += grid(plot, axes);
  for (std::size_t i = 0; i < plot.lines.size(); ++i) svg += line(plot.lines[i], i, axes);
  return svg + "</svg>\n";
}

}  // namespace llmd::sim
