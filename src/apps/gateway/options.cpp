#include "apps/gateway/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "discovery/dns_endpoints.h"
#include "discovery/kube_pool.h"
#include "net/address.h"
#include "pool/endpoint_list.h"

namespace llmd::gateway {
namespace {

void add_own_flags(CLI::App& app, Options& options) {
  app.add_option("--endpoints", options.endpoints,
                 "URL,URL,..., a file in llm-d's file-discovery form, dns:HOST:PORT, "
                 "dns:_service._tcp.HOST or kubernetes:NAMESPACE/POOL "
                 "(default: what --config's discovery names)");
  app.add_flag("--allow-local-endpoints", options.allow_local_endpoints,
               "Loopback and link-local addresses of DNS and pods may be endpoints, too");
  app.add_option("--loops", options.loops, "Event loops; 0: one a core, at most 8")->check(CLI::Range(0U, 64U));
  flags::add_milliseconds(app, "--probe-interval", options.probe_interval, {50, 600'000},
                          "Milliseconds between two looks at an endpoint");
}

Result<void> check_endpoints(const Options& options) {
  const std::string& endpoints = options.endpoints;
  if (endpoints.empty() && !options.config_path.empty()) return {};
  if (endpoints.empty()) return fail(ErrorCode::kAddressInvalid, "--endpoints is required");
  if (pool::names_endpoint_file(endpoints)) return {};
  if (endpoints.starts_with(kDnsPrefix)) {
    const auto name = discovery::DnsName::parse(std::string_view{endpoints}.substr(kDnsPrefix.size()));
    if (name) return {};
    return fail(name.error().code, "--endpoints: " + name.error().what, name.error().hint);
  }
  if (endpoints.starts_with(kKubePrefix)) {
    const auto pool = discovery::KubePool::parse(std::string_view{endpoints}.substr(kKubePrefix.size()));
    if (pool) return {};
    return fail(pool.error().code, "--endpoints: " + pool.error().what, pool.error().hint);
  }
  const auto parsed = pool::parse_endpoint_urls(endpoints);
  if (parsed) return {};
  return fail(parsed.error().code, fmt::format("--endpoints: {}, and there is no such file", parsed.error().what),
              parsed.error().hint);
}

}  // namespace

void add_front_flags(CLI::App& app, Options& options) {
  flags::add_address_flag(app, "--listen", options.listen, "HOST:PORT or unix:PATH; port 0 picks one")
      ->capture_default_str();
  app.add_option("--config", options.config_path, "EndpointPickerConfig file, read again when it changes or on SIGHUP");
  app.add_flag("--allow-experimental-plugins", options.allow_experimental_plugins,
               "Let --config use plugin types that are marked experimental");
  app.add_option("--admin", options.admin, "unix:PATH of the control socket, or none (default: in the runtime folder)");
  flags::add_body_flag(app, options.body_bytes_max);
  app.add_option("--max-in-flight", options.in_flight_max, "Inference requests at once; beyond them 429")
      ->check(CLI::Range(1U, 1'000'000U))
      ->capture_default_str();
  app.add_option("--max-attempts", options.attempts_max, "Endpoints tried for one request")
      ->check(CLI::Range(1U, 9U))
      ->capture_default_str();
  app.add_flag("--rebalance-roles", options.rebalance_roles,
               "Prefill and decode endpoints labelled llmd.ai/role-may-change=true change roles as the work asks");
  flags::add_serving_flags(app, options);
  flags::add_seconds(app, "--header-timeout", options.header_timeout, {1, 3'600}, "Seconds for the head of a request");
  flags::add_seconds(app, "--body-timeout", options.body_timeout, {1, 3'600},
                     "Seconds without progress of a request's body");
  flags::add_seconds(app, "--write-timeout", options.write_timeout, {1, 3'600},
                     "Seconds in which a client reads nothing of its answer");
  app.add_option("--outlier-detection", options.outlier_detection,
                 "on or off: take traffic from endpoints that are slower, or fail more, than their peers")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  flags::in_range(
      app.add_option("--explain-rate", options.explained_per_second,
                     "Decisions a second that llmd explain can tell all of; of the others it tells the choice"),
      0, 1e6)
      ->capture_default_str();
  app.add_option("--record", options.record_path,
                 "File for one line a request, without its text, that llmd sim compare --trace replays");
  flags::as_bytes(app.add_option("--record-max", options.record_bytes_max,
                                 "Bytes of that file and of FILE.1, which holds what was before"));
  flags::add_log_flags(app, options.log);
  app.footer(flags::kServerKeyText);
}

Result<void> check_front_flags(const Options& options) {
  constexpr std::uint64_t kRecordBytesMin = 1U << 20U;
  if (options.record_bytes_max < kRecordBytesMin)
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("--record-max is {} bytes; expected at least 1MiB", options.record_bytes_max));
  if (options.admin.empty() || options.admin == "none") return {};
  const auto address = net::Address::parse(options.admin);
  if (address && address->is_unix()) return {};
  return fail(ErrorCode::kAddressInvalid, fmt::format("--admin is \"{}\"; expected unix:PATH or none", options.admin));
}

routing::ConfigSource config_source(const Options& options, std::string_view fallback) {
  return {.path = options.config_path,
          .fallback = std::string{fallback},
          .allow_experimental = options.allow_experimental_plugins};
}

CommandLine parse_command_line(int argc, const char* const* argv) {
  CLI::App app{"OpenAI-compatible front door with the scheduler inside.", "llmd gateway"};
  Options options;
  add_own_flags(app, options);
  add_front_flags(app, options);
  if (auto ending = flags::parse(app, argc, argv)) return {.options = {}, .ending = *std::move(ending)};
  for (const Result<void>& checked : {check_endpoints(options), check_front_flags(options)}) {
    if (!checked) return {.options = {}, .ending = flags::refusal(app, checked.error())};
  }
  options.api_key = flags::api_key();
  return {.options = std::move(options), .ending = {}};
}

}  // namespace llmd::gateway
