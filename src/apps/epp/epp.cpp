#include "apps/epp/epp.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <utility>

#include "apps/epp/options.h"
#include "apps/epp/service.h"
#include "pool/endpoint_list.h"
#include "runtime/descriptor_limit.h"
#include "runtime/runtime_directory.h"
#include "runtime/signals.h"
#include "runtime/stall_detector.h"
#include "telemetry/log.h"

namespace llmd {
namespace epp {
namespace {

constexpr int kInterruptedExit = 130;
/// llm-d's defaults: queue-scorer 2, kv-cache-utilization-scorer 2, prefix-cache-scorer 3.
constexpr std::string_view kDefaultConfig = "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string{} : std::string{value};
}

Result<discovery::KubePool> kube_pool(const Options& options) {
  if (options.pool_name.empty() && options.endpoint_selector.empty()) {
    return fail(ErrorCode::kConfigInvalid, "nothing names endpoints",
                "give --pool-name, --endpoint-selector, or dataLayer.discovery with a file-discovery plugin");
  }
  discovery::KubePool pool{.name = options.pool_name,
                           .group = options.pool_group,
                           .selector = options.endpoint_selector,
                           .ports = options.endpoint_target_ports,
                           .addresses = {.allows_local = options.allow_local_endpoints}};
  for (const std::string& space : {options.pool_namespace, variable("NAMESPACE")}) {
    if (space.empty()) continue;
    pool.name_space = space;
    break;
  }
  if (pool.is_object()) return pool;
  const std::string pod = variable("POD_NAME");
  const auto deployment = discovery::deployment_of(pod);
  if (!deployment) {
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("--endpoint-selector needs the picker's own pod in POD_NAME, which is \"{}\"", pod),
                "let the manifest set it from metadata.name");
  }
  pool.name = *deployment;
  return pool;
}

Result<Setup> make_setup(Options options) {
  Setup setup;
  setup.config_source = {.path = options.config_file,
                         .fallback = options.config_text.empty() ? std::string{kDefaultConfig} : options.config_text,
                         .allow_experimental = options.allow_experimental_plugins,
                         .checks_models = false,
                         .sheds = true};
  LLMD_TRY(setup.config, routing::load_config(setup.config_source));
  // A configuration that names a file takes the place of Kubernetes, as in llm-d.
  setup.endpoint_file = routing::discovery_file(setup.config.config);
  if (setup.endpoint_file.empty()) {
    LLMD_TRY(setup.kube, kube_pool(options));
  } else {
    LLMD_TRY(setup.endpoints, pool::load_endpoint_file(setup.endpoint_file));
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
  LLMD_TRY(std::unique_ptr<RuntimeDirectory> directory, RuntimeDirectory::create("epp"));
  LLMD_TRY(setup.admin, net::Address::parse("unix:" + directory->file("admin.sock")));
  return directory;
}

/// Drains on the first SIGINT or SIGTERM, ends on the second, reads the configuration again on SIGHUP.
class SignalledRun {
 public:
  explicit SignalledRun(Loop& home)
      : home_{home}, signals_{home, {SIGINT, SIGTERM, SIGHUP}, [this](int signal) { on_signal(signal); }} {}

  void run(Service& service) {
    const StallDetector stalls{service.metrics(), {}};
    service_ = &service;
    home_.run();
  }

 private:
  void on_signal(int signal) {
    if (signal == SIGHUP) {
      service_->plane().live_config().reload();
      return;
    }
    if (std::exchange(asked_, true)) std::_Exit(kInterruptedExit);
    home_.spawn(drain_and_stop());
  }
  Task<void> drain_and_stop() {
    co_await service_->drain();
    co_await sleep_for(milliseconds{20});  // lets streams that were cut unwind
    home_.stop();
  }

  Loop& home_;
  Service* service_ = nullptr;  // set before the loop runs
  bool asked_ = false;
  SignalWatch signals_;
};

Result<void> run(Options options) {
  LLMD_TRY(Setup setup, make_setup(std::move(options)));
  LLMD_TRY(const std::unique_ptr<RuntimeDirectory> directory, choose_admin(setup));
  const std::string admin = setup.admin.is_unix() ? setup.admin.to_string() : "off";
  Loop home{"epp-home"};
  SignalledRun signalled{home};
  LLMD_TRY(const std::unique_ptr<Service> service, Service::start(home, std::move(setup)));
  log::info("listening on {} (health {}, metrics {}, admin socket {})", service->address().to_string(),
            service->health_address().to_string(), service->metrics_address().to_string(), admin);
  signalled.run(*service);
  return {};
}

}  // namespace
}  // namespace epp

int epp_main(int argc, char** argv) {
  epp::CommandLine line = epp::parse_command_line(argc, argv);
  if (!line.options) return flags::end(line.ending);
  ignore_sigpipe();
  raise_descriptor_limit();
  log::init({.level = line.options->log.level, .format = line.options->log.format, .component = "epp"});
  if (const Result<void> ran = epp::run(*std::move(line.options)); !ran) {
    log::error("{}", ran.error().to_string());
    return 1;
  }
  return 0;
}

}  // namespace llmd
