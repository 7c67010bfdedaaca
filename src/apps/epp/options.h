#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "flags/command_line.h"
#include "flags/shared_flags.h"

namespace llmd::epp {

/// The flags of llm-d's endpoint picker (llm-d-router: pkg/epp/server/options.go), by the same names and with the same
/// defaults, and some of our own; docs/configuration.md explains each.
struct Options {
  std::uint16_t grpc_port = 9002;
  std::uint16_t health_port = 9003;
  std::uint16_t metrics_port = 9090;
  std::string host;  // that all three are bound to; empty: every address
  std::string config_file;
  std::string config_text;
  bool allow_experimental_plugins = false;
  bool leader_election = false;
  std::chrono::milliseconds drain_timeout{30'000};
  std::size_t message_bytes_max = std::size_t{4} << 20U;
  std::size_t body_bytes_max = std::size_t{100} << 20U;
  // What is picked from.
  std::string pool_group = "inference.networking.k8s.io";
  std::string pool_namespace;
  std::string pool_name;
  std::string endpoint_selector;
  std::vector<std::uint16_t> endpoint_target_ports;
  bool allow_local_endpoints = false;  // of pods: loopback and link-local addresses
  bool disable_subset_filter = false;
  bool emit_scores = false;
  std::chrono::milliseconds scrape_interval{50};
  std::chrono::milliseconds refresh_interval{5'000};  // of the gauges about the pool
  std::chrono::milliseconds staleness_threshold{2'000};
  // Who may call.
  bool secure_serving = true;
  std::string cert_path;  // folder with tls.crt and tls.key; empty: a certificate is made
  bool cert_reload = false;
  std::string tls_min_version;
  std::vector<std::string> tls_ciphers;
  bool health_on_grpc_port = false;
  bool metrics_auth = true;
  std::string metrics_cert_dir;  // folder with tls.crt and tls.key of the metrics port; empty: no TLS there
  std::string
      metrics_client_ca_file;  // clients of that port must have a certificate of these; empty: none is asked for
  bool tracing = true;         // as the environment says; see tracing_options.h
  bool pprof = true;
  unsigned loops = 0;  // that serve streams; 0: one a core, at most 4
  std::string admin;   // unix:PATH; empty: a socket in the runtime directory; "none": no socket
  flags::LogFlags log;
};

using CommandLine = flags::CommandLine<Options>;

/// Reads the command line; argv[0] is the command's name.
[[nodiscard]] CommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace llmd::epp
