#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "flags/command_line.h"
#include "flags/shared_flags.h"
#include "flags/worker_flags.h"
#include "kvevents/publisher_options.h"

namespace llmd::worker {

enum class Role : std::uint8_t { kUnified, kPrefill, kDecode };
[[nodiscard]] std::string_view role_name(Role role) noexcept;

enum class EngineKind : std::uint8_t { kLlama, kSimulated };

/// The worker's options; docs/configuration.md explains each. The first of the served names is the stem of
/// model_path or profile if none is given.
struct Options : flags::WorkerFlags, flags::ServingFlags {
  EngineKind engine = EngineKind::kLlama;
  std::string model_path;  // of kLlama
  std::string profile;     // of kSimulated: what config::find_hardware_profile() takes
  std::uint32_t sim_endpoints = 1;
  std::uint32_t sim_output_tokens = 128;  // of answers without a limit
  kvevents::PublisherOptions kv_events;   // of kSimulated
  Role role = Role::kUnified;
  std::string listen = "127.0.0.1:8081";
  unsigned threads = 0;  // 0: all cores
  std::size_t body_bytes_max = flags::kBodyBytesMax;
  flags::LogFlags log;
  std::string api_key;  // from LLMD_API_KEY; empty: everyone may call
};

using CommandLine = flags::CommandLine<Options>;

/// Reads the command line; argv[0] is the command's name. Does not look at files.
[[nodiscard]] CommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace llmd::worker
