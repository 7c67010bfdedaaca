#include "dispatch/forward_headers.h"

#include <array>
#include <span>
#include <string>

#include "net/hop_by_hop.h"

namespace llmd::dispatch {
namespace {

bool is_one_of(std::string_view name, std::span<const std::string_view> names) noexcept {
  for (const std::string_view known : names) {
    if (net::equals_ignoring_case(name, known)) return true;
  }
  return false;
}

bool starts_with(std::string_view name, std::string_view prefix) noexcept {
  return name.size() >= prefix.size() && net::equals_ignoring_case(name.substr(0, prefix.size()), prefix);
}

}  // namespace

bool is_steering_header(std::string_view name) noexcept {
  if (name.size() < 2 || (name[0] != 'x' && name[0] != 'X') || name[1] != '-') return false;
  static constexpr std::array<std::string_view, 5> kNames{"x-prefiller-host-port", "x-encoder-hosts-ports",
                                                          "x-kv-cache-source-host-port", "x-llm-d-model-name-rewrite",
                                                          "x-envoy-original-dst-host"};
  static constexpr std::array<std::string_view, 4> kPrefixes{"x-gateway-destination-endpoint", "x-data-parallel-",
                                                             "x-gateway-model-name-rewrite", "x-llmd-"};
  for (const std::string_view prefix : kPrefixes) {
    if (starts_with(name, prefix)) return true;
  }
  return is_one_of(name, kNames);
}

net::Headers request_headers(const net::Headers& from_client, RequestHeaderOptions options) {
  const std::string_view connection = from_client.get("connection").value_or("");
  net::Headers headers;
  headers.reserve(from_client.size() + 1);
  for (const auto& [name, value] : from_client) {
    if (net::is_hop_by_hop(name) || is_steering_header(name) || net::is_named_by(connection, name)) continue;
    if (net::equals_ignoring_case(name, "x-request-id") || net::equals_ignoring_case(name, "accept-encoding")) continue;
    const bool is_key =
        net::equals_ignoring_case(name, "authorization") || net::equals_ignoring_case(name, "x-api-key");
    if (!options.keep_authorization && is_key) continue;
    headers.add(name, value);
  }
  headers.add("x-request-id", std::string{options.request_id});
  return headers;
}

net::Headers answer_headers(const net::Headers& from_endpoint, std::string_view request_id) {
  const std::string_view connection = from_endpoint.get("connection").value_or("");
  net::Headers headers;
  headers.reserve(from_endpoint.size() + 1);
  for (const auto& [name, value] : from_endpoint) {
    if (net::is_hop_by_hop(name) || is_steering_header(name) || net::is_named_by(connection, name)) continue;
    if (net::equals_ignoring_case(name, "x-request-id")) continue;
    headers.add(name, value);
  }
  headers.add("x-request-id", std::string{request_id});
  return headers;
}

}  // namespace llmd::dispatch
