#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <system_error>

#include "base/error.h"

namespace llmd::simulation {

/// Reads one line of a trace, a JSON object, from left to right. The line must outlive it. Errors are kFileInvalid:
/// "column N: " with what was expected and what stands there; columns are bytes from 1.
class TraceLine {
 public:
  struct Bounds {
    std::uint64_t min;
    std::uint64_t max;
  };

  explicit TraceLine(std::string_view line) noexcept : line_{line} {}

  void skip_space() noexcept { at_ = std::min(line_.find_first_not_of(" \t\r\n", at_), line_.size()); }
  /// Whether this byte comes next, white space apart; it is taken then.
  [[nodiscard]] bool take(char wanted) noexcept;
  [[nodiscard]] Result<void> expect(char wanted);
  /// Nothing but white space is left.
  [[nodiscard]] Result<void> expect_end();
  /// Whether this string, with its quotes, comes next; it is taken then. Pre: nothing in it needs an escape.
  [[nodiscard]] bool take_string(std::string_view text) noexcept;
  /// A whole number without a sign.
  [[nodiscard]] Result<std::uint64_t> number(Bounds bounds);
  /// A number of JSON from `least` to `most`.
  [[nodiscard]] Result<double> real(double least, double most);
  /// Any string of up to `bytes_max` bytes: as it is written, with its escapes. Part of the line.
  [[nodiscard]] Result<std::string_view> raw_string(std::size_t bytes_max);

  [[nodiscard]] std::unexpected<Error> wrong(std::string_view expected) const;

 private:
  std::string_view line_;
  std::size_t at_ = 0;
};

}  // namespace llmd::simulation
