#pragma once

#include <string_view>

namespace llmd::scheduling {

/// Whether Kubernetes takes the text as a label's key: a name of 1 to 63 letters, digits, "-", "_" and ".", a letter or
/// digit at both ends, and before it, if a "/" is there, a DNS name of at most 253 characters.
[[nodiscard]] bool is_label_key(std::string_view text) noexcept;

/// Whether Kubernetes takes the text as a label's value: empty, or as the name of a key.
[[nodiscard]] bool is_label_value(std::string_view text) noexcept;

}  // namespace llmd::scheduling
