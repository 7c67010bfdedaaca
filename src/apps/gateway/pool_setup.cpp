#include "apps/gateway/pool_setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/read_file.h"
#include "discovery/dns_endpoints.h"
#include "net/certificate.h"
#include "pool/endpoint_list.h"
#include "scheduling/nearest_name.h"

namespace llmd::gateway {
namespace {

constexpr std::size_t kRoutesBytesMax = 1024 * 1024;

/// Null if no endpoint needs it. `tls` without endpoints of https is for those that come later.
Result<std::shared_ptr<const net::TlsClient>> make_tls(const PoolSetup& pool) {
  if (!pool.tls_text && !pool::any_https(pool.endpoints)) return nullptr;
  const config::PoolTls tls = pool.tls_text.value_or(config::PoolTls{});
  net::TlsClientOptions made{.server_name = tls.server_name, .insecure = tls.insecure_skip_verify};
  if (!tls.ca_file.empty()) {
    LLMD_TRY(made.ca, net::read_pem_file(tls.ca_file));
  }
  return net::TlsClient::make(std::move(made));
}

Result<void> check_engines(const config::PoolEntry& entry, const config::CoreExtractorConfig& extractor,
                           std::string_view file) {
  std::vector<std::string_view> known{config::kKnownEngines.begin(), config::kKnownEngines.end()};
  for (const config::EngineConfig& engine : extractor.engines) known.push_back(engine.name);
  for (const config::PoolEndpoint& each : entry.endpoints) {
    if (each.engine.empty() || std::ranges::find(known, each.engine) != known.end()) continue;
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("{}:{}: there is no engine \"{}\"", file, each.line, each.engine),
                scheduling::nearest_name_hint(each.engine, known));
  }
  return {};
}

Result<PoolSetup> load_pool(const config::PoolEntry& entry, const Options& options, std::string_view default_config) {
  PoolSetup pool{.name = entry.name, .config_source = config_source(options, default_config), .tls_text = entry.tls};
  if (!entry.config_file.empty()) pool.config_source.path = entry.config_file;
  LLMD_TRY(pool.config, routing::load_config(pool.config_source));
  const config::CoreExtractorConfig& extractor = pool.config.config.data_layer.extractor;
  LLMD_TRY_VOID(check_engines(entry, extractor, options.routes_path));
  pool.endpoint_file = entry.endpoint_file;
  if (entry.endpoints.empty() && pool.endpoint_file.empty())
    pool.endpoint_file = routing::discovery_file(pool.config.config);
  if (!pool.endpoint_file.empty()) {
    LLMD_TRY(pool.endpoints, pool::load_endpoint_file(pool.endpoint_file));
  } else if (!entry.endpoints.empty()) {
    LLMD_TRY(pool.endpoints, pool::make_endpoints(entry, extractor.engine_label, options.routes_path));
  } else {
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("{}:{}: pool \"{}\" has no endpoints", options.routes_path, entry.line, entry.name),
                "list URLs, name a file of endpoints, or give its config a file-discovery plugin");
  }
  LLMD_TRY(pool.tls, make_tls(pool));
  return pool;
}

}  // namespace

Result<PoolsSetup> only_pool(PoolSetup pool) {
  PoolsSetup made;
  LLMD_TRY(made.table,
           modelroute::RouteTable::make({{.name = "all", .match = {}, .targets = {{.pool = 0, .model = {}}}}}, {}));
  made.default_config = pool.config_source.fallback;
  made.pools.push_back(std::move(pool));
  return made;
}

Result<PoolsSetup> pool_by_model(std::vector<PoolSetup> pools) {
  PoolsSetup made;
  std::vector<modelroute::Route> routes;
  for (const PoolSetup& pool : pools) {
    modelroute::Route route{.name = pool.name, .match = {}, .targets = {{.pool = routes.size(), .model = {}}}};
    route.match.model = pool.name;
    routes.push_back(std::move(route));
  }
  LLMD_TRY(made.table, modelroute::RouteTable::make(std::move(routes), {}));
  made.pools = std::move(pools);
  return made;
}

Result<PoolsSetup> load_routes(const Options& options, std::string_view default_config) {
  LLMD_TRY(const std::string text, config::read_file(options.routes_path, kRoutesBytesMax));
  LLMD_TRY(config::RoutesFile file, config::parse_routes_file(text, options.routes_path));
  PoolsSetup made{.routes_file = options.routes_path, .default_config = std::string{default_config}};
  for (const config::PoolEntry& entry : file.pools) {
    LLMD_TRY(PoolSetup pool, load_pool(entry, options, default_config));
    made.pools.push_back(std::move(pool));
  }
  made.table = std::move(file.table);
  made.default_sla_class = std::move(file.default_sla_class);
  return made;
}

Result<PoolsSetup> setup_of_flags(const Options& options, std::string_view default_config) {
  if (!options.routes_path.empty()) return load_routes(options, default_config);
  PoolSetup pool{.config_source = config_source(options, default_config)};
  LLMD_TRY(pool.config, routing::load_config(pool.config_source));
  const std::string discovery = routing::discovery_file(pool.config.config);
  const bool discovered = options.endpoints.empty() && !discovery.empty();
  if (discovered || pool::names_endpoint_file(options.endpoints)) {
    pool.endpoint_file = discovered ? discovery : options.endpoints;
    LLMD_TRY(pool.endpoints, pool::load_endpoint_file(pool.endpoint_file));
  } else if (options.endpoints.starts_with(kDnsPrefix)) {
    pool.dns.emplace();
    LLMD_TRY(pool.dns->name, discovery::DnsName::parse(std::string_view{options.endpoints}.substr(kDnsPrefix.size())));
    pool.dns->addresses.allows_local = options.allow_local_endpoints;
  } else if (options.endpoints.starts_with(kKubePrefix)) {
    LLMD_TRY(pool.kube, discovery::KubePool::parse(std::string_view{options.endpoints}.substr(kKubePrefix.size())));
    pool.kube->addresses.allows_local = options.allow_local_endpoints;
    pool.kube->has_rules = false;
  } else if (options.endpoints.empty()) {
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("{} names no endpoints, and --endpoints is not given", options.config_path),
                "give --endpoints, or dataLayer.discovery with a file-discovery plugin");
  } else {
    LLMD_TRY(pool.endpoints, pool::parse_endpoint_urls(options.endpoints));
  }
  LLMD_TRY(pool.tls, make_tls(pool));
  return only_pool(std::move(pool));
}

}  // namespace llmd::gateway
