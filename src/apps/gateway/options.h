#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "flags/command_line.h"
#include "flags/shared_flags.h"
#include "routing/live_config.h"

namespace CLI {
class App;
}

namespace llmd::gateway {

/// The gateway's options; docs/configuration.md explains each.
struct Options : flags::ServingFlags {
  std::string listen = "127.0.0.1:8080";
  std::string endpoints;                    // URLs, a file in llm-d's file-discovery form, dns:NAME, kubernetes:POOL
  bool allow_local_endpoints = false;       // of DNS and pods: loopback and link-local addresses
  std::string config_path;                  // an EndpointPickerConfig; empty: the default profile
  bool allow_experimental_plugins = false;  // of --config
  std::string admin;                        // unix:PATH; empty: a socket in the runtime directory; "none": no socket
  unsigned loops = 0;                       // 0: one a core, at most 8
  std::size_t body_bytes_max = flags::kBodyBytesMax;
  std::uint32_t in_flight_max = 4'096;               // inference requests; beyond it 429
  std::uint32_t attempts_max = 4;                    // endpoints tried for one request
  std::chrono::milliseconds header_timeout{10'000};  // of a client: from the first byte to the end of the head
  std::chrono::milliseconds body_timeout{60'000};    // of a client: without progress
  std::chrono::milliseconds write_timeout{30'000};   // of a client: without reading
  std::chrono::milliseconds probe_interval{1'000};
  std::chrono::milliseconds probe_backoff_max{5'000};  // between two looks at an endpoint that does not answer
  double explained_per_second = 50;                    // decisions explained in full, the others in brief
  bool rebalance_roles = false;                        // of endpoints that may change, see routing::RoleKeeper
  std::string outlier_detection = "on";                // or "off": endpoints that stand out keep their traffic
  std::string record_path;                             // file of the recorded log; empty: none
  std::uint64_t record_bytes_max = 1ULL << 30U;        // of that file and the one before it
  flags::LogFlags log;
  std::string api_key;                // from LLMD_API_KEY; empty: everyone may call
  bool merge_worker_metrics = false;  // /metrics also carries each endpoint's own page, with a worker label
};

/// Where the configuration comes from, as the options say.
[[nodiscard]] routing::ConfigSource config_source(const Options& options, std::string_view fallback);

using CommandLine = flags::CommandLine<Options>;

/// Before the name of --endpoints that DNS knows, or that an InferencePool has.
inline constexpr std::string_view kDnsPrefix = "dns:";
inline constexpr std::string_view kKubePrefix = "kubernetes:";

/// Reads the command line; argv[0] is the command's name. Of files it only looks whether --endpoints names one.
[[nodiscard]] CommandLine parse_command_line(int argc, const char* const* argv);

/// The flags that `llmd up` has, too. `options` must outlive `app`.
void add_front_flags(CLI::App& app, Options& options);
/// What those flags alone do not show; after parsing. Error kAddressInvalid names the flag.
[[nodiscard]] Result<void> check_front_flags(const Options& options);

}  // namespace llmd::gateway
