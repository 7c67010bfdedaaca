#pragma once

#include <span>
#include <string>
#include <string_view>

namespace llmd::scheduling {

/// The known name with the least edits to `name`, empty if none is near (more than a third of its length, at least 2).
/// For hints; names longer than 64 characters have none. O(names x length^2).
[[nodiscard]] std::string_view nearest_name(std::string_view name, std::span<const std::string_view> known);

/// "did you mean X?" or, if nothing is near, "known: A, B, C".
[[nodiscard]] std::string nearest_name_hint(std::string_view name, std::span<const std::string_view> known);

}  // namespace llmd::scheduling
