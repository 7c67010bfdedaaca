#include "simulation/workloads/trace_line.h"

#include <fmt/format.h>

#include <string>

namespace llmd::simulation {
namespace {

constexpr std::size_t kShownMax = 16;

}  // namespace

bool TraceLine::take(char wanted) noexcept {
  skip_space();
  if (at_ == line_.size() || line_[at_] != wanted) return false;
  ++at_;
  return true;
}

Result<void> TraceLine::expect(char wanted) {
  if (take(wanted)) return {};
  return wrong(fmt::format("expected '{}'", wanted));
}

Result<void> TraceLine::expect_end() {
  skip_space();
  if (at_ < line_.size()) return wrong("expected the end of the line");
  return {};
}

bool TraceLine::take_string(std::string_view text) noexcept {
  skip_space();
  const std::string_view rest = line_.substr(at_);
  const std::size_t whole = text.size() + 2;
  if (rest.size() < whole || rest[0] != '"' || rest[whole - 1] != '"' || rest.substr(1, text.size()) != text)
    return false;
  at_ += whole;
  return true;
}

Result<std::uint64_t> TraceLine::number(Bounds bounds) {
  skip_space();
  const char* const first = line_.data() + at_;
  const char* const last = line_.data() + line_.size();
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(first, last, value);
  const bool leading_zero = end - first > 1 && *first == '0';  // JSON has none
  if (failed != std::errc{} || leading_zero || value < bounds.min || value > bounds.max) {
    return wrong(fmt::format("expected a whole number from {} to {}", bounds.min, bounds.max));
  }
  at_ += static_cast<std::size_t>(end - first);
  return value;
}

Result<double> TraceLine::real(double least, double most) {
  skip_space();
  const std::string_view rest = line_.substr(at_);
  const std::string_view text = rest.substr(0, rest.find_first_not_of("+-.0123456789eE"));
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = failed == std::errc{} && end == text.data() + text.size();
  if (!whole || !(value >= least && value <= most))
    return wrong(fmt::format("expected a number from {} to {}", least, most));
  at_ += text.size();
  return value;
}

Result<std::string_view> TraceLine::raw_string(std::size_t bytes_max) {
  skip_space();
  const std::size_t begin = at_;
  if (at_ == line_.size() || line_[at_] != '"') return wrong("expected a string");
  std::size_t end = at_ + 1;
  while (end < line_.size() && line_[end] != '"') end += line_[end] == '\\' ? 2 : 1;
  if (end >= line_.size() || end - begin > bytes_max + 1)
    return wrong(fmt::format("expected a string of at most {} bytes", bytes_max));
  at_ = end + 1;
  return line_.substr(begin + 1, end - begin - 1);
}

std::unexpected<Error> TraceLine::wrong(std::string_view expected) const {
  std::string shown{line_.substr(at_, kShownMax)};
  // The text may be anything; what is logged is one line of ASCII.
  std::ranges::replace_if(shown, [](char c) { return c < ' ' || c > '~'; }, '?');
  if (shown.empty()) shown = "the end";
  return fail(ErrorCode::kFileInvalid, fmt::format("column {}: {}; found: {}", at_ + 1, expected, shown));
}

}  // namespace llmd::simulation
