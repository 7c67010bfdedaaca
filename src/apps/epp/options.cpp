#include "apps/epp/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <utility>

#include "flags/go_flags.h"
#include "net/address.h"

namespace llmd::epp {
namespace {

void add_serving(CLI::App& app, Options& options) {
  const auto port = [&app](const std::string& name, std::uint16_t& value, const std::string& text) {
    app.add_option(name, value, text)->capture_default_str();
  };
  port("--grpc-port", options.grpc_port, "Port of the ext_proc service; 0 picks one");
  port("--grpc-health-port", options.health_port, "Port of the gRPC health service, without TLS; 0 picks one");
  port("--metrics-port", options.metrics_port, "Port of /metrics and /debug; 0 picks one");
  app.add_option("--bind-address", options.host,
                 "Address that the three ports are bound to; all by default, of IPv6 too");
  flags::add_switch(app, "--health-checking", options.health_on_grpc_port,
                    "The health service on the ext_proc port, too");
  flags::add_go_duration(app, "--drain-timeout", options.drain_timeout, "30s",
                         "How long requests are still served after SIGTERM");
  flags::add_quantity(app, "--grpc-max-recv-msg-size", options.message_bytes_max, "4Mi", "Longest message of the proxy",
                      /*takes_empty=*/true);
  app.add_option_function<std::string>(
         "--grpc-max-send-msg-size", [](const std::string&) {},
         "No effect: nothing that is sent is longer than 62,000 bytes but a body that the proxy holds")
      ->default_str("");
  flags::add_quantity(app, "--max-body", options.body_bytes_max, "100Mi", "Longest request body", /*takes_empty=*/true);
  app.add_option("--loops", options.loops, "Event loops that serve streams; 0: one a core, at most 4")
      ->check(CLI::Range(0U, 64U))
      ->capture_default_str();
  app.add_option("--admin", options.admin, "unix:PATH of the control socket, or none (default: in the runtime folder)");
}

void add_tls(CLI::App& app, Options& options) {
  flags::add_switch(app, "--secure-serving", options.secure_serving, "TLS on the ext_proc port");
  app.add_option("--cert-path", options.cert_path, "Folder with tls.crt and tls.key (default: a self-signed one)");
  flags::add_switch(app, "--enable-cert-reload", options.cert_reload,
                    "Read the certificate again when its files change");
  auto* const cert_dir = app.add_option("--metrics-cert-dir", options.metrics_cert_dir,
                                        "Folder with tls.crt and tls.key: TLS on the metrics port");
  app.add_option("--metrics-client-ca-file", options.metrics_client_ca_file,
                 "Clients of the metrics port must have a certificate of these")
      ->needs(cert_dir);
  app.add_option("--tls-min-version", options.tls_min_version, "Oldest version of TLS: VersionTLS12 or VersionTLS13")
      ->check(CLI::IsMember({"", "VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13"}));
  app.add_option("--tls-cipher-suites", options.tls_ciphers, "Ciphers of TLS 1.2, by their IANA names")->delimiter(',');
}

void add_pool(CLI::App& app, Options& options) {
  app.add_option("--config-file", options.config_file, "EndpointPickerConfig file, read again when it changes");
  app.add_option("--config-text", options.config_text, "EndpointPickerConfig as text")->excludes("--config-file");
  flags::add_switch(app, "--allow-experimental-plugins", options.allow_experimental_plugins,
                    "Let the configuration use plugin types that are marked experimental");
  app.add_option("--pool-group", options.pool_group, "API group of the InferencePool")->capture_default_str();
  app.add_option("--pool-namespace", options.pool_namespace, "Namespace of the InferencePool (default: NAMESPACE)");
  app.add_option("--pool-name", options.pool_name, "Name of the InferencePool");
  app.add_option("--endpoint-selector", options.endpoint_selector, "Label selector of the pods, instead of a pool")
      ->excludes("--pool-name");
  app.add_option("--endpoint-target-ports", options.endpoint_target_ports, "Ports of those pods")->delimiter(',');
  flags::add_switch(app, "--allow-local-endpoints", options.allow_local_endpoints,
                    "Loopback and link-local addresses of pods may be endpoints, too");
  flags::add_switch(app, "--disable-endpoint-subset-filter", options.disable_subset_filter,
                    "Pick from all endpoints, whatever subset the proxy names");
  flags::add_switch(app, "--emit-endpoint-scores", options.emit_scores, "Tell the proxy what each endpoint scored");
  flags::add_go_duration(app, "--refresh-metrics-interval", options.scrape_interval, "50ms",
                         "Between two looks at an endpoint's metrics; at least 50ms");
  flags::add_go_duration(app, "--refresh-prometheus-metrics-interval", options.refresh_interval, "5s",
                         "Between two looks at the pool for its gauges; at least 100ms");
  flags::add_go_duration(app, "--metrics-staleness-threshold", options.staleness_threshold, "2s",
                         "A reading older than this counts as missing");
  flags::add_switch(app, "--ha-enable-leader-election", options.leader_election, "One replica of several serves");
}

/// Flags that llm-d's picker takes, and that do nothing here, or not yet.
void add_accepted(CLI::App& app, Options& options, std::vector<std::string>& idle) {
  flags::add_switch(app, "--enable-pprof", options.pprof, "CPU profiles at /debug/pprof/profile");
  flags::add_switch(app, "--metrics-endpoint-auth", options.metrics_auth,
                    "Ask Kubernetes who may read the metrics; without Kubernetes, everyone may");
  flags::add_switch(app, "--tracing", options.tracing, "Spans to where OpenTelemetry's environment variables say");
  static constexpr std::array<std::string_view, 4> kIdle{"--zap-devel", "--zap-stacktrace-level", "--zap-time-encoding",
                                                         "--enable-grpc-stream-metrics"};
  for (const std::string_view name : kIdle) {
    app.add_option_function<std::string>(
           std::string{name}, [&idle, name](const std::string&) { idle.emplace_back(name); }, "Taken, without effect")
        ->expected(0, 1);
  }
}

/// Flags that llm-d's picker knows and refuses.
void add_refused(CLI::App& app) {
  static constexpr std::array<std::string_view, 5> kGone{
      "--total-queued-requests-metric", "--total-running-requests-metric", "--kv-cache-usage-percentage-metric",
      "--lora-info-metric", "--cache-info-metric"};
  const CLI::Validator gone{
      [](std::string&) { return std::string{"it is a parameter of core-metrics-extractor now: engineConfigs"}; }, "",
      "gone"};
  for (const std::string_view name : kGone) {
    app.add_option_function<std::string>(
           std::string{name}, [](const std::string&) {}, "Refused, as by llm-d")
        ->check(gone);
  }
}

void add_logging(CLI::App& app, Options& options, int& verbosity, std::string& zap_level) {
  app.add_option("-v,--v", verbosity, "How much is logged: 2, or 4 and above for each request")
      ->check(CLI::Range(0, 10))
      ->capture_default_str();
  app.add_option("--zap-log-level", zap_level, "The same by name: error, warn, info, debug, or a number");
  flags::add_zap_encoder(app, options.log.format);
  flags::add_log_flags(app, options.log);
}

std::optional<log::Level> level_of(std::string_view zap, int verbosity) {
  if (zap == "error" || zap == "panic" || zap == "fatal") return log::Level::kError;
  if (zap == "warn" || zap == "warning") return log::Level::kWarn;
  if (zap == "info") return log::Level::kInfo;
  if (zap == "debug") return log::Level::kDebug;
  if (!zap.empty() && std::ranges::all_of(zap, [](char c) { return c >= '0' && c <= '9'; }) && zap.size() < 4)
    verbosity = std::stoi(std::string{zap});
  else if (!zap.empty())
    return std::nullopt;
  return verbosity >= 4 ? log::Level::kDebug : log::Level::kInfo;
}

Result<void> check(const Options& options) {
  const auto wrong = [](std::string what, std::string hint = {}) {
    return fail(ErrorCode::kConfigInvalid, std::move(what), std::move(hint));
  };
  if (!options.endpoint_selector.empty() && options.endpoint_target_ports.empty())
    return wrong("--endpoint-selector needs --endpoint-target-ports");
  if (options.endpoint_target_ports.size() > 8)
    return wrong(
        fmt::format("--endpoint-target-ports names {} ports; expected 1 to 8", options.endpoint_target_ports.size()));
  if (!options.metrics_cert_dir.empty() && options.metrics_client_ca_file.empty() && !options.metrics_auth) {
    return wrong("--metrics-cert-dir without --metrics-client-ca-file, and --metrics-endpoint-auth=false",
                 "one of both says who may read the metrics");
  }
  if (!options.admin.empty() && options.admin != "none") {
    const auto address = net::Address::parse(options.admin);
    if (!address || !address->is_unix())
      return wrong(fmt::format("--admin is \"{}\"; expected unix:PATH or none", options.admin));
  }
  return {};
}

/// Go's flags are also written with `=` behind the short name, which CLI11 does not take.
std::vector<std::string> in_cli11_form(int argc, const char* const* argv) {
  std::vector<std::string> arguments;
  for (int i = 0; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument.starts_with("-v=")) argument.replace(0, 3, "--v=");
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv) {
  CLI::App app{"Endpoint picker for Envoy (ext_proc), in the place of llm-d's.", "llmd epp"};
  Options options;
  std::vector<std::string> idle;
  int verbosity = 2;
  std::string zap_level;
  add_serving(app, options);
  add_tls(app, options);
  add_pool(app, options);
  add_accepted(app, options, idle);
  add_refused(app);
  add_logging(app, options, verbosity, zap_level);
  const std::vector<std::string> arguments = in_cli11_form(argc, argv);
  std::vector<const char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
  if (auto ending = flags::parse(app, argc, pointers.data())) return {.options = {}, .ending = *std::move(ending)};
  if (const Result<void> checked = check(options); !checked)
    return {.options = {}, .ending = flags::refusal(app, checked.error())};
  if (app.count("--log-level") == 0) {
    const auto level = level_of(zap_level, verbosity);
    if (!level)
      return {
          .options = {},
          .ending = flags::refusal(
              app, fmt::format("--zap-log-level is \"{}\"; expected error, warn, info, debug or a number", zap_level))};
    options.log.level = *level;
  }
  options.refresh_interval = std::max(options.refresh_interval, std::chrono::milliseconds{100});
  options.scrape_interval = std::max(options.scrape_interval, std::chrono::milliseconds{50});
  for (const std::string& name : idle) fmt::print(stderr, "llmd epp: {} has no effect\n", name);
  return {.options = std::move(options), .ending = {}};
}

}  // namespace llmd::epp
