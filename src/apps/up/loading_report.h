#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace llmd::up {

/// What a person learns while workers load. Pure: it makes texts, and someone else writes them to stdout.
/// On a terminal one line is written over when it changes, short enough that any log line that follows covers it.
/// Elsewhere there is a line after 2, 4, 8, ... seconds, so that a log of an hour holds a dozen.
class LoadingReport {
 public:
  struct Options {
    bool terminal = false;
  };
  explicit LoadingReport(Options options) : options_{options} {}

  struct State {
    std::string_view model;
    std::size_t workers_ready = 0;
    std::size_t workers = 1;
    unsigned percent = 0;  // of the slowest worker's model; 0: unknown
    Duration elapsed{};
  };
  /// What to write now; often nothing.
  [[nodiscard]] std::string next(const State& state);
  /// What to write before any other line of text: takes the line off the terminal.
  [[nodiscard]] std::string clear();

 private:
  static constexpr seconds kFirstLine{2};

  const Options options_;
  Duration next_line_ = kFirstLine;
  std::string shown_;  // on the terminal now
};

}  // namespace llmd::up
