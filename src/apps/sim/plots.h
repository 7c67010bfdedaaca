#pragma once

#include <string>
#include <utility>
#include <vector>

namespace llmd::sim {

/// One line of a plot.
struct PlotLine {
  std::string name;
  std::vector<std::pair<double, double>> points;  // x, y; in the order of x
};

struct Plot {
  std::string title;
  std::string x_title;
  std::string y_title;
  bool log_x = false;  // what is not above 0 is left out
  bool log_y = false;
  std::vector<PlotLine> lines;
};

/// The plot as an SVG with its legend, for a page that gives text its colour. A line keeps its look by its place.
[[nodiscard]] std::string line_plot(const Plot& plot);

/// For HTML and SVG: names may be paths of files.
[[nodiscard]] std::string escaped(const std::string& text);

}  // namespace llmd::sim
