#include "apps/gateway/gateway.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "apps/gateway/options.h"
#include "apps/gateway/run.h"
#include "config/default_config.h"
#include "discovery/dns_endpoints.h"
#include "discovery/kube_pool.h"
#include "pool/endpoint_list.h"
#include "runtime/descriptor_limit.h"
#include "runtime/runtime_directory.h"
#include "runtime/signals.h"
#include "telemetry/log.h"

namespace llmd {
namespace gateway {
namespace {

Result<Setup> make_setup(Options options) {
  Setup setup;
  setup.config_source = config_source(options, config::default_unified_config());
  LLMD_TRY(setup.config, routing::load_config(setup.config_source));
  const std::string discovery = routing::discovery_file(setup.config.config);
  const bool discovered = options.endpoints.empty() && !discovery.empty();
  if (discovered || pool::names_endpoint_file(options.endpoints)) {
    setup.endpoint_file = discovered ? discovery : options.endpoints;
    LLMD_TRY(setup.endpoints, pool::load_endpoint_file(setup.endpoint_file));
  } else if (options.endpoints.starts_with(kDnsPrefix)) {
    setup.dns.emplace();
    LLMD_TRY(setup.dns->name, discovery::DnsName::parse(std::string_view{options.endpoints}.substr(kDnsPrefix.size())));
    setup.dns->addresses.allows_local = options.allow_local_endpoints;
  } else if (options.endpoints.starts_with(kKubePrefix)) {
    LLMD_TRY(setup.kube, discovery::KubePool::parse(std::string_view{options.endpoints}.substr(kKubePrefix.size())));
    setup.kube->addresses.allows_local = options.allow_local_endpoints;
    setup.kube->has_rules = false;
  } else if (options.endpoints.empty()) {
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("{} names no endpoints, and --endpoints is not given", options.config_path),
                "give --endpoints, or dataLayer.discovery with a file-discovery plugin");
  } else {
    LLMD_TRY(setup.endpoints, pool::parse_endpoint_urls(options.endpoints));
  }
  setup.options = std::move(options);
  return setup;
}

Result<std::unique_ptr<RuntimeDirectory>> choose_admin(Setup& setup) {
  if (setup.options.admin == "none") return nullptr;
  if (!setup.options.admin.empty()) {
    LLMD_TRY(setup.admin, net::Address::parse(setup.options.admin));
    return nullptr;
  }
  LLMD_TRY(std::unique_ptr<RuntimeDirectory> directory, RuntimeDirectory::create("gateway"));
  LLMD_TRY(setup.admin, net::Address::parse("unix:" + directory->file("admin.sock")));
  return directory;
}

Result<void> run(Options options) {
  LLMD_TRY(Setup setup, make_setup(std::move(options)));
  LLMD_TRY(const std::unique_ptr<RuntimeDirectory> directory, choose_admin(setup));
  const std::string admin = setup.admin.is_unix() ? setup.admin.to_string() : "off";
  const Options used = setup.options;
  Loop home{"gateway-0"};
  SignalledRun signalled{home};
  LLMD_TRY(const std::unique_ptr<Service> service, Service::start(home, std::move(setup)));
  warn_if_open_to_all(service->address(), used);
  log::info("listening on {} (admin socket {})", service->address().to_string(), admin);
  signalled.run(*service, nullptr);
  return {};
}

}  // namespace
}  // namespace gateway

int gateway_main(int argc, char** argv) {
  gateway::CommandLine line = gateway::parse_command_line(argc, argv);
  if (!line.options) return flags::end(line.ending);
  ignore_sigpipe();
  raise_descriptor_limit();
  log::init({.level = line.options->log.level, .format = line.options->log.format, .component = "gateway"});
  if (const Result<void> ran = gateway::run(*std::move(line.options)); !ran) {
    log::error("{}", ran.error().to_string());
    return 1;
  }
  return 0;
}

}  // namespace llmd
