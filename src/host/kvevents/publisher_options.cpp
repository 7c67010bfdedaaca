#include "kvevents/publisher_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "config/object_decoder.h"
#include "config/yaml_tree.h"

namespace llmd::kvevents {
namespace {

using config::FieldDecoder;
using config::ObjectDecoder;
using config::YamlNode;

constexpr std::string_view kSource = "--kv-events-config";
constexpr std::int64_t kBatchesMax = 10'000'000;
constexpr std::size_t kTextMax = 1'024;
constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kIpc = "ipc://";

FieldDecoder text(const ObjectDecoder& decoder, std::string_view name, std::string& into) {
  return {name, [&decoder, name, &into](const YamlNode& node) -> Result<void> {
            LLMD_TRY(into, decoder.text(node, name));
            if (into.size() <= kTextMax) return {};
            return decoder.fail_at(node,
                                   fmt::format("{} has {} bytes; expected at most {}", name, into.size(), kTextMax));
          }};
}

FieldDecoder batches(const ObjectDecoder& decoder, std::string_view name, std::uint32_t& into) {
  return {name, [&decoder, name, &into](const YamlNode& node) -> Result<void> {
            LLMD_TRY(const std::int64_t value, decoder.integer(node, name));
            if (value < 1 || value > kBatchesMax)
              return decoder.fail_at(node, fmt::format("{} is {}; expected 1 to {}", name, value, kBatchesMax));
            into = static_cast<std::uint32_t>(value);
            return {};
          }};
}

struct TcpPlace {
  std::string_view host;  // with the scheme
  std::uint32_t port = 0;
};

Result<TcpPlace> tcp_place(std::string_view endpoint) {
  const std::size_t colon = endpoint.rfind(':');
  const std::string_view digits = endpoint.substr(colon + 1);
  TcpPlace place{.host = endpoint.substr(0, colon)};
  const auto [rest, status] = std::from_chars(digits.data(), digits.data() + digits.size(), place.port);
  const bool whole = status == std::errc{} && rest == digits.data() + digits.size();
  if (whole && place.port <= 65'535 && place.host.size() > kTcp.size()) return place;
  return fail(ErrorCode::kConfigInvalid, fmt::format("{}: {} names no port", kSource, endpoint),
              "give tcp://HOST:PORT");
}

Result<void> check_place(std::string_view name, std::string_view endpoint) {
  if (endpoint.starts_with(kIpc) && endpoint.size() > kIpc.size()) return {};
  if (endpoint.starts_with(kTcp)) {
    LLMD_TRY_VOID(tcp_place(endpoint));
    return {};
  }
  return fail(ErrorCode::kConfigInvalid, fmt::format("{}: {} is \"{}\"", kSource, name, endpoint),
              "give tcp://HOST:PORT or ipc://PATH");
}

}  // namespace

Result<PublisherOptions> parse_publisher_options(std::string_view json) {
  LLMD_TRY(const YamlNode root, config::parse_yaml(json, kSource, {.bytes_max = 64U << 10U, .nodes_max = 100}));
  if (root.kind != YamlNode::Kind::kMap)
    return fail(ErrorCode::kConfigInvalid, fmt::format("{} is no JSON object", kSource),
                R"(give '{"enable_kv_cache_events": true}')");
  const ObjectDecoder decoder{kSource};
  PublisherOptions options;
  bool wanted = true;
  const FieldDecoder fields[] = {
      {"enable_kv_cache_events",
       [&](const YamlNode& node) -> Result<void> {
         LLMD_TRY(options.enabled, decoder.flag(node, "enable_kv_cache_events"));
         return {};
       }},
      {"publisher",
       [&](const YamlNode& node) -> Result<void> {
         LLMD_TRY(const std::string name, decoder.text(node, "publisher"));
         wanted = name != "null";
         if (name == "zmq" || name == "null" || node.kind == YamlNode::Kind::kNull) return {};
         return decoder.fail_at(node, fmt::format("publisher is \"{}\"; expected zmq or null", name));
       }},
      text(decoder, "endpoint", options.endpoint),
      text(decoder, "replay_endpoint", options.replay_endpoint),
      batches(decoder, "buffer_steps", options.buffer_steps),
      batches(decoder, "hwm", options.hwm),
      batches(decoder, "max_queue_size", options.max_queue_size),
      text(decoder, "topic", options.topic),
  };
  LLMD_TRY_VOID(decoder.object(root, "the configuration of KV events", fields));
  LLMD_TRY_VOID(check_place("endpoint", options.endpoint));
  if (!options.replay_endpoint.empty()) LLMD_TRY_VOID(check_place("replay_endpoint", options.replay_endpoint));
  options.enabled = options.enabled && wanted;
  return options;
}

Result<std::string> place_of(const std::string& endpoint, std::uint32_t index) {
  if (index == 0) return endpoint;
  if (!endpoint.starts_with(kTcp)) {
    return fail(ErrorCode::kConfigInvalid, fmt::format("{}: {} is one place for several endpoints", kSource, endpoint),
                "give tcp://HOST:PORT");
  }
  LLMD_TRY(const TcpPlace place, tcp_place(endpoint));
  if (place.port == 0) return endpoint;
  if (place.port + index > 65'535) {
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("{}: {} endpoints from {} need ports beyond 65535", kSource, index + 1, endpoint));
  }
  return fmt::format("{}:{}", place.host, place.port + index);
}

Result<void> check_apart(const PublisherOptions& options, std::uint32_t endpoints) {
  if (options.replay_endpoint.empty() || !binds(options.endpoint)) return {};
  bool apart = options.endpoint != options.replay_endpoint;
  if (options.endpoint.starts_with(kTcp) && options.replay_endpoint.starts_with(kTcp)) {
    LLMD_TRY(const TcpPlace live, tcp_place(options.endpoint));
    LLMD_TRY(const TcpPlace replay, tcp_place(options.replay_endpoint));
    const auto [low, high] = std::minmax(live.port, replay.port);
    apart = low == 0 || high - low >= endpoints;
  }
  if (apart) return {};
  return fail(ErrorCode::kConfigInvalid,
              fmt::format("{}: the places of {} endpoints from endpoint {} and from replay_endpoint {} overlap",
                          kSource, endpoints, options.endpoint, options.replay_endpoint),
              fmt::format("give ports that differ by {} or more", endpoints));
}

bool binds(std::string_view endpoint) noexcept {
  return endpoint.starts_with(kIpc) || endpoint.contains('*') || endpoint.contains("::");
}

}  // namespace llmd::kvevents
