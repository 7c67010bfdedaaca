#include "apps/sidecar/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <map>
#include <utility>

#include "apps/sidecar/configuration.h"
#include "config/read_file.h"
#include "flags/go_flags.h"

namespace llmd::sidecar {
namespace {

constexpr std::string_view kPortVariables =
    "Also read: MOONCAKE_BOOTSTRAP_PORT, SGLANG_BOOTSTRAP_PORT, P2P_CONNECTOR_PORT, ENABLE_PREFILLER_SAMPLING, "
    "INFERENCE_POOL, POD_IP. Flags go before the configuration, which goes before the environment.";
constexpr unsigned kPortMax = 65'535;
constexpr std::size_t kConfigurationBytesMax = std::size_t{1} << 20U;

/// What is not bound to an option directly.
struct Raw {
  std::string connector = "nixlv2";
  std::string encoder_connector;
  std::uint16_t vllm_port = 0;
  bool protects = false;
  std::vector<std::string> tls;
  std::vector<std::string> insecure;
  std::string inline_configuration;
  std::string configuration_file;
  std::string zap_level;
};

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string{} : std::string{value};
}

void set_port(std::uint16_t& port, const char* name) {
  const std::string text = variable(name);
  std::uint16_t read = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), read);
  if (status == std::errc{} && end == text.data() + text.size() && read > 0) port = read;
}

void read_environment(Options& options) {
  set_port(options.mooncake_bootstrap_port, "MOONCAKE_BOOTSTRAP_PORT");
  set_port(options.sglang_bootstrap_port, "SGLANG_BOOTSTRAP_PORT");
  set_port(options.p2p_port, "P2P_CONNECTOR_PORT");
  const std::string sampling = variable("ENABLE_PREFILLER_SAMPLING");
  options.prefiller_sampling = sampling == "true" || sampling == "1" || sampling == "TRUE" || sampling == "True" ||
                               sampling == "t" || sampling == "T";
  options.inference_pool = variable("INFERENCE_POOL");
  options.pod_ip = variable("POD_IP");
  options.moriio.engines.decode_host = options.pod_ip;
}

void add_port(CLI::App& app, const std::string& name, std::uint16_t& port, const std::string& text) {
  app.add_option(name, port, text)->check(CLI::Range(1U, kPortMax))->capture_default_str();
}

void add_list(CLI::App& app, const std::string& name, std::vector<std::string>& list, const std::string& text) {
  app.add_option(name, list, text)->delimiter(',')->allow_extra_args(false);
}

void add_serving(CLI::App& app, Options& options, Raw& raw) {
  app.add_option("--port", options.port, "Port of rank 0; rank r listens at it + r; 0 picks one")
      ->capture_default_str();
  app.add_option("--bind-address", options.host, "Address that the ports are bound to; all by default, of IPv6 too");
  add_port(app, "--model-server-port", options.model_server_port, "Port of the engine's rank 0 on this host");
  app.add_option("--vllm-port", raw.vllm_port, "Old name of --model-server-port")->check(CLI::Range(1U, kPortMax));
  app.add_option("--data-parallel-size", options.data_parallel_size, "Ranks of the engine")
      ->check(CLI::Range(1U, kPortMax))
      ->capture_default_str();
  flags::add_switch(app, "--secure-proxy", options.secure_proxy, "TLS for who calls");
  app.add_option("--cert-path", options.cert_path,
                 "Folder with tls.crt and tls.key, read again when they change (default: a self-signed one)");
  app.add_option("--metrics-port", options.metrics_port, "Port of /metrics; 0: none")->capture_default_str();
  app.add_option("--loops", options.loops, "Event loops; 0: one a core, at most 4")
      ->check(CLI::Range(0U, 64U))
      ->capture_default_str();
  flags::add_quantity(app, "--max-body", options.body_bytes_max, "100Mi", "Longest request body");
  flags::add_go_duration(app, "--drain-timeout", options.drain_timeout, "1m",
                         "How long requests may still take after SIGTERM");
}

void add_connectors(CLI::App& app, Options& options, Raw& raw) {
  app.add_option("--kv-connector", raw.connector, "How KV comes from the prefill side")
      ->check(CLI::IsMember({"nixlv2", "shared-storage", "sglang", "mooncake", "offloading"}))
      ->capture_default_str();
  app.add_option("--ec-connector", raw.encoder_connector,
                 "How encode endpoints pass results on (default: no such stage)")
      ->check(CLI::IsMember({"", "ec-example", "ec-nixl"}));
  add_port(app, "--mooncake-bootstrap-port", options.mooncake_bootstrap_port,
           "Bootstrap port of prefill pods (mooncake)");
  add_port(app, "--p2p-connector-port", options.p2p_port, "Peer-to-peer port of rank 0 of prefill pods (offloading)");
  flags::add_switch(app, "--enable-p2p-pull", options.p2p_pull,
                    "With nixlv2: engines can also pull prefixes from peers");
  flags::add_switch(app, "--enable-prefiller-sampling", options.prefiller_sampling,
                    "Any of the prefill pods named, not the first");
  app.add_option("--decode-chunk-size", options.decode_chunk_size,
                 "Tokens of a piece of a chat's answer; 0: it is asked for whole")
      ->check(CLI::Range(0U, 1U << 30U))
      ->capture_default_str();
  app.add_option("--prefill-max-retries", options.prefill_retries_max,
                 "Further attempts after 502, 503, 504 or no answer")
      ->check(CLI::Range(0U, 100U))
      ->capture_default_str();
  flags::add_go_duration(app, "--prefill-retry-backoff", options.prefill_backoff, "200ms", "Between two of them");
  flags::add_go_duration(app, "--prefill-timeout", options.prefill_timeout, "10m",
                         "Longest prefill leg, attempts together");
  flags::add_go_duration(app, "--answer-timeout", options.answer_timeout, "1h", "Longest silence of the engine");
  flags::add_quantity(app, "--max-held-answer", options.held_answer_bytes_max, "4Mi",
                      "Longest answer that is held back to be looked at; longer ones are passed on as they come");
  app.add_option("--max-idle-conns-per-host", options.idle_connections_max, "Connections kept for a host")
      ->check(CLI::Range(1U, 65'536U))
      ->capture_default_str();
}

void add_permissions(CLI::App& app, Options& options, Raw& raw) {
  const CLI::IsMember stages{{"prefiller", "decoder", "encoder"}};
  add_list(app, "--enable-tls", raw.tls, "Legs that are encrypted: prefiller, decoder, encoder");
  app.get_option("--enable-tls")->check(stages);
  add_list(app, "--tls-insecure-skip-verify", raw.insecure, "Legs whose certificates are not checked");
  app.get_option("--tls-insecure-skip-verify")->check(stages);
  app.add_flag("--enable-ssrf-protection", raw.protects,
               "Legs go only to pods of the pool or hosts of --allowed-hosts (on by default if one is named)");
  app.add_option("--inference-pool", options.inference_pool, "InferencePool as NAMESPACE/NAME or NAME");
  app.add_option("--pool-group", options.pool_group, "API group of the InferencePool")->capture_default_str();
  add_list(app, "--allowed-hosts", options.allowed_hosts, "Hosts that legs may go to, whatever the port");
}

void add_moriio(CLI::App& app, MoriioFlags& moriio) {
  pd::MoriioOptions& engines = moriio.engines;
  flags::add_switch(app, "--moriio-write-mode", moriio.write_mode,
                    "With nixlv2: the prefill side pushes the KV (MoRI-IO)");
  flags::add_switch(app, "--moriio-parallel-dispatch", moriio.parallel, "Both legs at once; needs --moriio-write-mode");
  flags::add_go_duration(app, "--moriio-parallel-decode-wait-timeout", moriio.decode_wait, "30s",
                         "Longest wait of a decode leg for the prefill leg's end");
  app.add_option("--moriio-local-pod-ip", engines.decode_host, "This pod's address or name (default: POD_IP)");
  add_port(app, "--moriio-decode-notify-port", engines.decode_notify_port, "Of decode pods");
  add_port(app, "--moriio-decode-handshake-port", engines.decode_handshake_port, "Of decode pods");
  add_port(app, "--moriio-prefill-notify-port", engines.prefill_notify_port, "Of prefill pods");
  add_port(app, "--moriio-prefill-handshake-port", engines.prefill_handshake_port, "Of prefill pods");
  const auto count = [&app](const std::string& name, std::uint32_t& value, std::uint32_t min, const std::string& text) {
    app.add_option(name, value, text)->check(CLI::Range(min, 65'536U))->capture_default_str();
  };
  count("--moriio-tp-size", engines.tp_size, 1, "Tensor-parallel size");
  count("--moriio-dp-size", engines.dp_size, 1, "Data-parallel ranks of a side");
  count("--moriio-dp-size-local", engines.dp_size_local, 0, "Of them in one pod; 0: all");
  add_list(app, "--moriio-remote-hosts", engines.prefill_hosts, "Prefill pods, in the order of their ranks");
  add_list(app, "--moriio-decode-hosts", engines.decode_hosts, "Decode pods, in the order of their ranks");
}

void add_accepted(CLI::App& app, Options& options, Raw& raw, std::vector<std::string>& idle) {
  static constexpr std::array<std::string_view, 4> kIdle{"--tracing", "--zap-devel", "--zap-stacktrace-level",
                                                         "--zap-time-encoding"};
  for (const std::string_view name : kIdle) {
    app.add_option_function<std::string>(
           std::string{name}, [&idle, name](const std::string&) { idle.emplace_back(name); }, "Taken, without effect")
        ->expected(0, 1);
  }
  flags::add_zap_encoder(app, options.log.format);
  app.add_option("--zap-log-level", raw.zap_level, "Old name of --log-level");
  app.add_option("--configuration", raw.inline_configuration, "YAML whose keys are names of these flags");
  app.add_option("--configuration-file", raw.configuration_file, "The same in a file")->excludes("--configuration");
  flags::add_log_flags(app, options.log);
}

Result<void> wrong(std::string what) { return fail(ErrorCode::kConfigInvalid, std::move(what)); }

Result<void> check_hosts(std::string_view flag, const std::vector<std::string>& hosts,
                         const pd::MoriioOptions& engines) {
  if (hosts.size() <= 1) return {};
  if (engines.dp_size_local == 0) return wrong(fmt::format("{} needs --moriio-dp-size-local", flag));
  if (engines.dp_size % engines.dp_size_local != 0 || engines.dp_size / engines.dp_size_local != hosts.size())
    return wrong(fmt::format("{} names {} pods of {} ranks each; --moriio-dp-size is {}", flag, hosts.size(),
                             engines.dp_size_local, engines.dp_size));
  return {};
}

Result<void> check_pool(const Options& options) {
  const std::string& pool = options.inference_pool;
  const auto slashes = std::ranges::count(pool, '/');
  if (slashes > 1 || pool.starts_with('/') || pool.ends_with('/'))
    return wrong(fmt::format("--inference-pool is \"{}\"; expected NAMESPACE/NAME or NAME", pool));
  if (options.ssrf_protection.value_or(false) && pool.empty() && options.allowed_hosts.empty())
    return wrong("--enable-ssrf-protection needs --inference-pool, INFERENCE_POOL or --allowed-hosts");
  return {};
}

Result<void> check(const Options& options) {
  const unsigned more = options.data_parallel_size - 1U;
  if (options.port == 0 && more > 0) return wrong("--port 0 cannot be used with several ranks");
  for (const auto& [flag, port] :
       std::map<std::string_view, unsigned>{{"--port", options.port},
                                            {"--model-server-port", options.model_server_port},
                                            {"--p2p-connector-port", options.p2p_port}}) {
    if (port + more > kPortMax) return wrong(fmt::format("{} {} leaves no ports for {} ranks", flag, port, more + 1));
  }
  if (options.p2p_pull && options.connector != pd::Connector::kNixl)
    return wrong("--enable-p2p-pull needs --kv-connector nixlv2");
  if (options.prefill_retries_max > 0 && options.prefill_backoff.count() == 0)
    return wrong("--prefill-retry-backoff must be positive when --prefill-max-retries is");
  const MoriioFlags& moriio = options.moriio;
  if (moriio.write_mode && moriio.engines.decode_host.empty())
    return wrong("--moriio-write-mode needs --moriio-local-pod-ip or POD_IP");
  if (moriio.parallel && !moriio.write_mode) return wrong("--moriio-parallel-dispatch needs --moriio-write-mode");
  LLMD_TRY_VOID(check_hosts("--moriio-remote-hosts", moriio.engines.prefill_hosts, moriio.engines));
  LLMD_TRY_VOID(check_hosts("--moriio-decode-hosts", moriio.engines.decode_hosts, moriio.engines));
  return check_pool(options);
}

StageTls stage_tls(const Raw& raw, std::string_view stage) {
  return {.enabled = std::ranges::find(raw.tls, stage) != raw.tls.end(),
          .insecure = std::ranges::find(raw.insecure, stage) != raw.insecure.end()};
}

std::optional<log::Level> level_of(std::string_view zap) {
  static const std::map<std::string_view, log::Level> kLevels{
      {"error", log::Level::kError}, {"panic", log::Level::kError}, {"fatal", log::Level::kError},
      {"warn", log::Level::kWarn},   {"info", log::Level::kInfo},   {"debug", log::Level::kDebug}};
  if (const auto found = kLevels.find(zap); found != kLevels.end()) return found->second;
  const bool is_number =
      !zap.empty() && zap.size() < 4 && std::ranges::all_of(zap, [](char c) { return c >= '0' && c <= '9'; });
  if (!is_number) return std::nullopt;
  return zap.size() > 1 || zap >= "4" ? log::Level::kDebug : log::Level::kInfo;
}

/// One reading of arguments.
struct Reading {
  CLI::App app{"P/D routing proxy beside a decode engine, in the place of llm-d's.", "llmd sidecar"};
  Options options;
  Raw raw;
  std::vector<std::string> idle;

  Reading() {
    read_environment(options);
    add_serving(app, options, raw);
    add_connectors(app, options, raw);
    add_permissions(app, options, raw);
    add_moriio(app, options.moriio);
    add_accepted(app, options, raw, idle);
    app.footer(std::string{kPortVariables});
  }

  std::optional<flags::Ending> parse(const std::vector<std::string>& arguments) {
    std::vector<const char*> pointers{"sidecar"};
    for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
    return flags::parse(app, static_cast<int>(pointers.size()), pointers.data());
  }

  [[nodiscard]] Result<void> complete() {
    if (app.count("--model-server-port") == 0 && raw.vllm_port != 0) options.model_server_port = raw.vllm_port;
    options.connector = pd::connector_of(raw.connector).value_or(pd::Connector::kNixl);
    if (raw.encoder_connector == "ec-example") options.encoder_connector = EncoderConnector::kExample;
    if (raw.encoder_connector == "ec-nixl") options.encoder_connector = EncoderConnector::kNixl;
    if (app.count("--enable-ssrf-protection") > 0) options.ssrf_protection = raw.protects;
    options.prefiller_tls = stage_tls(raw, "prefiller");
    options.decoder_tls = stage_tls(raw, "decoder");
    options.encoder_tls = stage_tls(raw, "encoder");
    if (!raw.zap_level.empty() && app.count("--log-level") == 0) {
      const auto level = level_of(raw.zap_level);
      if (!level) return wrong(fmt::format("--zap-log-level is \"{}\"; expected a level or a number", raw.zap_level));
      options.log.level = *level;
    }
    return check(options);
  }
};

/// What the configuration adds to the command line: what that says itself goes first.
Result<std::vector<std::string>> configured(Reading& first) {
  std::vector<std::string> added;
  std::string yaml = first.raw.inline_configuration;
  std::string source = "--configuration";
  if (!first.raw.configuration_file.empty()) {
    source = first.raw.configuration_file;
    auto read = config::read_file(source, kConfigurationBytesMax);
    if (!read) return fail(ErrorCode::kConfigInvalid, fmt::format("--configuration-file: {}", read.error().what));
    yaml = *std::move(read);
  }
  LLMD_TRY(const std::vector<ConfiguredFlag> keys, read_configuration(yaml, source));
  const bool names_port = first.app.count("--model-server-port") + first.app.count("--vllm-port") > 0;
  for (const ConfiguredFlag& key : keys) {
    const CLI::Option* const option = first.app.get_option_no_throw("--" + key.name);
    if (option == nullptr)
      return fail(ErrorCode::kConfigInvalid,
                  fmt::format("{}: there is no flag \"{}\"", source, key.name.substr(0, 64)));
    const bool is_port = key.name == "model-server-port" || key.name == "vllm-port";
    if (option->count() == 0 && !(is_port && names_port)) added.push_back(key.argument);
  }
  return added;
}

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv) {
  std::vector<std::string> arguments;
  for (int i = 1; i < argc; ++i) arguments.emplace_back(argv[i]);
  Reading first;
  if (auto ending = first.parse(arguments)) return {.options = {}, .ending = *std::move(ending)};
  const auto added = configured(first);
  if (!added) return {.options = {}, .ending = flags::refusal(first.app, added.error())};
  arguments.insert(arguments.end(), added->begin(), added->end());
  Reading whole;
  if (auto ending = whole.parse(arguments)) return {.options = {}, .ending = *std::move(ending)};
  if (const Result<void> completed = whole.complete(); !completed)
    return {.options = {}, .ending = flags::refusal(whole.app, completed.error())};
  for (const std::string& name : whole.idle) fmt::print(stderr, "llmd sidecar: {} has no effect\n", name);
  return {.options = std::move(whole.options), .ending = {}};
}

}  // namespace llmd::sidecar
