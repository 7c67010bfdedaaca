#pragma once

#include <string>
#include <string_view>

namespace llmd::up {

/// A line that a child logged, with the child's name: in a JSON object as field "process", in front of any other line.
[[nodiscard]] std::string with_process(std::string_view process, std::string_view line);

/// Puts one line and its end on stderr, in one write. A stderr that takes nothing now loses the line and never blocks.
void put_on_stderr(std::string line);

}  // namespace llmd::up
