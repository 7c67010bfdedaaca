#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "flags/command_line.h"
#include "flags/shared_flags.h"
#include "pd/connector.h"
#include "pd/moriio.h"

namespace llmd::sidecar {

/// How encode endpoints pass their results on.
enum class EncoderConnector : std::uint8_t {
  kNone,     // no encode stage
  kExample,  // through a store that all share
  kNixl,     // by ec_transfer_params of their answers
};

/// Whether legs to one side are encrypted.
struct StageTls {
  bool enabled = false;
  bool insecure = false;  // any certificate will do
};

struct MoriioFlags {
  bool write_mode = false;
  bool parallel = false;                          // both legs at once
  std::chrono::milliseconds decode_wait{30'000};  // of a decode leg for the prefill leg's end
  pd::MoriioOptions engines;                      // hosts as they were given: names or addresses
};

/// The flags of llm-d's sidecar (llm-d-router: pkg/sidecar/proxy/options.go), by the same names and with the same
/// defaults, and some of our own; docs/configuration.md explains each.
struct Options {
  std::string host;           // empty: every address
  std::uint16_t port = 8000;  // of rank 0; rank r listens at port + r
  std::uint16_t model_server_port = 8200;
  std::uint16_t data_parallel_size = 1;
  std::string pod_ip;  // by which x-data-parallel-host-port names this pod
  pd::Connector connector = pd::Connector::kNixl;
  EncoderConnector encoder_connector = EncoderConnector::kNone;
  std::uint16_t sglang_bootstrap_port = 8998;
  std::uint16_t mooncake_bootstrap_port = 8998;
  std::uint16_t p2p_port = 7777;
  bool p2p_pull = false;
  bool prefiller_sampling = false;
  MoriioFlags moriio;
  // Who may be called.
  std::optional<bool> ssrf_protection;  // not said: if a pool is named
  std::string inference_pool;
  std::string pool_group = "inference.networking.k8s.io";
  std::vector<std::string> allowed_hosts;
  // TLS.
  bool secure_proxy = true;
  std::string cert_path;
  StageTls prefiller_tls;
  StageTls decoder_tls;
  StageTls encoder_tls;
  // How long, how often, how much.
  std::size_t idle_connections_max = 1'024;
  std::uint32_t prefill_retries_max = 0;
  std::chrono::milliseconds prefill_backoff{200};
  std::chrono::milliseconds prefill_timeout{600'000};
  std::chrono::milliseconds answer_timeout{3'600'000};  // of the engine: to its head, and between two pieces
  std::chrono::milliseconds drain_timeout{60'000};
  std::size_t body_bytes_max = std::size_t{100} << 20U;
  std::size_t held_answer_bytes_max = std::size_t{4} << 20U;
  std::uint32_t decode_chunk_size = 0;
  std::uint16_t metrics_port = 0;  // 0: no page
  unsigned loops = 0;              // 0: one a core, at most 4
  flags::LogFlags log;

  /// Whether legs go only to hosts of a list.
  [[nodiscard]] bool protects() const noexcept {
    return ssrf_protection.value_or(!inference_pool.empty() || !allowed_hosts.empty());
  }
};

using CommandLine = flags::CommandLine<Options>;

/// Reads the command line, and below it the configuration that it names and the environment; argv[0] is not read.
[[nodiscard]] CommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace llmd::sidecar
