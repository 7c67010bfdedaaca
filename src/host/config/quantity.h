#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace llmd::config {

/// A Kubernetes resource quantity ("4Gi", "1.5G", "200", "2e3", "500m"), rounded up to a whole number. No value: not
/// one, or beyond 2^63 - 1. Source: k8s.io/apimachinery, resource.Quantity.
[[nodiscard]] std::optional<std::int64_t> parse_quantity(std::string_view text) noexcept;

}  // namespace llmd::config
