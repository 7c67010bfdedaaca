#pragma once

#include <string_view>

namespace llmd::gateway {

/// The OpenAPI 3.1 document of the gateway, as served at /openapi.json. Static.
[[nodiscard]] std::string_view openapi_json() noexcept;

}  // namespace llmd::gateway
