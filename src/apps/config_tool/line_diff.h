#pragma once

#include <string>
#include <string_view>

namespace llmd::config {

/// The lines that differ, in the form of `diff -u` with three lines of context but without line numbers; empty if none
/// do. Longest common subsequence, O(lines x lines).
[[nodiscard]] std::string line_diff(std::string_view before, std::string_view after);

}  // namespace llmd::config
