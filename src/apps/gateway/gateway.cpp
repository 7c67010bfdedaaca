#include "apps/gateway/gateway.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "apps/gateway/options.h"
#include "apps/gateway/run.h"
#include "config/default_config.h"
#include "runtime/descriptor_limit.h"
#include "runtime/runtime_directory.h"
#include "runtime/signals.h"
#include "telemetry/log.h"

namespace llmd {
namespace gateway {
namespace {

Result<Setup> make_setup(Options options) {
  Setup setup;
  LLMD_TRY(setup.pools, setup_of_flags(options, config::default_unified_config()));
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
