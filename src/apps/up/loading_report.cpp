#include "apps/up/loading_report.h"

#include <fmt/format.h>

#include <utility>

namespace llmd::up {
namespace {

constexpr std::size_t kModelColumnsMax = 32;
constexpr std::string_view kClearLine = "\r\x1b[K";

std::string describe(const LoadingReport::State& state) {
  const std::string of_workers =
      state.workers > 1 ? fmt::format(", {} of {} workers ready", state.workers_ready, state.workers) : std::string{};
  const std::string percent = state.percent > 0 ? fmt::format(" {} %", state.percent) : std::string{};
  return fmt::format("loading {}{}, {:.0f} s{}", state.model.substr(0, kModelColumnsMax), percent,
                     to_seconds(state.elapsed), of_workers);
}

}  // namespace

std::string LoadingReport::next(const State& state) {
  if (options_.terminal) {
    std::string text = fmt::format("{}{}\r", kClearLine, describe(state));
    if (text == shown_) return {};
    shown_ = text;
    return text;
  }
  if (state.elapsed < next_line_) return {};
  while (next_line_ <= state.elapsed) next_line_ *= 2;
  return describe(state) + "\n";
}

std::string LoadingReport::clear() {
  return std::exchange(shown_, {}).empty() ? std::string{} : std::string{kClearLine};
}

}  // namespace llmd::up
