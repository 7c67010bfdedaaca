#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace llmd::reporting {

/// The response header that destination-endpoint-served-verifier sets.
inline constexpr std::string_view kServedEndpointHeader = "x-conformance-test-served-endpoint";

/// What the proxy's metadata of the response say of who served it: namespace `envoy.lb`, key
/// `x-gateway-destination-endpoint-served`.
struct ServedMetadata {
  bool has_namespace = false;
  std::optional<std::string_view> endpoint{};  // no value: no such key, or no text
};

/// The header's value: the endpoint, or what is missing, in llm-d's words, which conformance tests compare.
[[nodiscard]] inline std::string served_endpoint_report(const ServedMetadata& metadata) {
  if (!metadata.has_namespace) return "fail: missing envoy lb metadata";
  if (!metadata.endpoint) return "fail: missing destination endpoint served metadata";
  return std::string{*metadata.endpoint};
}

}  // namespace llmd::reporting
