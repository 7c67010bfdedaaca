#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "modelroute/route_table.h"

namespace llmd::config {

/// How endpoints with https:// are spoken to.
struct PoolTls {
  std::string ca_file;      // roots that are trusted; empty: the system's
  std::string server_name;  // that certificates must be of; empty: the host of each URL
  bool insecure_skip_verify = false;
  friend bool operator==(const PoolTls&, const PoolTls&) = default;
};

/// An endpoint as it is written, its URL unchecked.
struct PoolEndpoint {
  std::string name;  // empty: the URL
  std::string url;
  std::string engine;  // empty: found out by its metrics
  std::map<std::string, std::string> labels{};
  int line = 0;
  friend bool operator==(const PoolEndpoint&, const PoolEndpoint&) = default;
};

/// A pool as it is written. Paths are those of the file, or relative to its folder.
struct PoolEntry {
  std::string name;
  std::string endpoint_file;              // in llm-d's file-discovery form; empty: `endpoints`
  std::vector<PoolEndpoint> endpoints{};  // empty: `endpoint_file`, or what the configuration's discovery names
  std::string config_file;                // an EndpointPickerConfig; empty: the gateway's
  std::optional<PoolTls> tls{};           // also empty in the file; nothing: the system's roots, for URLs of https
  int line = 0;
};

/// What `llmd gateway --routes` reads.
struct RoutesFile {
  std::vector<PoolEntry> pools;
  modelroute::RouteTable table;
  std::string default_sla_class;  // of requests that name none; empty: none
};

inline constexpr std::size_t kPoolsMax = 64;
inline constexpr std::size_t kPoolEndpointsMax = 4'096;  // of one pool

/// Without `routes` all requests go to the only pool. Error kConfigInvalid begins with "source:line".
[[nodiscard]] Result<RoutesFile> parse_routes_file(std::string_view text, std::string_view source);

}  // namespace llmd::config
