#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/gateway/options.h"
#include "base/error.h"
#include "config/routes_file.h"
#include "discovery/dns_source.h"
#include "discovery/kube_pool.h"
#include "model/endpoint.h"
#include "modelroute/route_table.h"
#include "net/tls_client.h"
#include "routing/live_config.h"

namespace llmd::gateway {

/// What a pool is started with, checked.
struct PoolSetup {
  std::string name{};  // empty: the only one, whose metrics have no label for it
  routing::ConfigSource config_source{};
  routing::LoadedConfig config{};                    // load_config() of the source
  std::vector<Endpoint> endpoints{};                 // may be empty: they can come later
  std::string endpoint_file{};                       // watched for changes; empty: none
  std::optional<discovery::KubePool> kube{};         // endpoints come from there instead,
  std::optional<discovery::DnsSourceOptions> dns{};  // or from there
  std::optional<config::PoolTls> tls_text{};         // as configured
  std::shared_ptr<const net::TlsClient> tls{};       // for endpoints with https://; null: there are none
  /// The model file that every endpoint serves; empty: unknown. Only for endpoints that are workers of ours on unix
  /// sockets: they are sent its tokens with each prompt.
  std::string own_model_path{};
  std::string own_chat_template{};  // what those workers use instead of the model's own; empty: that one
};

/// Pools, and which requests go to which of them.
struct PoolsSetup {
  std::string routes_file{};     // watched for changes; empty: none
  std::string default_config{};  // of pools without one of their own
  std::vector<PoolSetup> pools{};
  modelroute::RouteTable table{};
  std::string default_sla_class{};
};

/// All requests to one pool without a name.
[[nodiscard]] Result<PoolsSetup> only_pool(PoolSetup pool);
/// Requests go to the pool that has the model's name; the first is the default. Pre: the names differ.
[[nodiscard]] Result<PoolsSetup> pool_by_model(std::vector<PoolSetup> pools);
/// What the flags say: one pool, or those of Options::routes_path. Errors as routing::load_config,
/// pool::load_endpoint_file, config::parse_routes_file, and kConfigInvalid: no endpoints, an engine that is not known,
/// a CA that is none.
[[nodiscard]] Result<PoolsSetup> setup_of_flags(const Options& options, std::string_view default_config);
[[nodiscard]] Result<PoolsSetup> load_routes(const Options& options, std::string_view default_config);

}  // namespace llmd::gateway
