#pragma once

#include <string>
#include <string_view>

namespace llmd::scheduling {

/// Without blanks at both ends; a part of `text`.
[[nodiscard]] std::string_view without_blanks(std::string_view text) noexcept;

/// The same, as a text of its own.
[[nodiscard]] std::string trimmed(std::string_view text);

/// As RequestFacts::headers has it: trimmed and in lower case.
[[nodiscard]] std::string header_name(std::string_view text);

}  // namespace llmd::scheduling
