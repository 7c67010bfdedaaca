#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace llmd::flags {

/// Flags of block transfer between workers.
struct KvFlags {
  std::string listen = "auto";                    // HOST:PORT, unix:PATH, none, or auto: prefill workers only
  std::string advertise;                          // the host that decode workers are told; empty: that of `listen`
  std::vector<std::string> peers;                 // from whom blocks may be pulled; empty: this machine
  std::chrono::milliseconds lease{30'000};        // how long a finished prompt waits for its decode worker
  std::chrono::milliseconds pull_timeout{5'000};  // then the prompt is computed here
};

/// What memory an engine takes: flags that `doctor` has, too.
struct MemoryFlags {
  std::uint64_t kv_bytes = 0;                // 0: chosen from model and machine
  std::optional<std::uint64_t> store_bytes;  // nothing: 1 GiB, or what is left; 0 turns the prefix cache off
  std::uint32_t context_tokens = 0;          // 0: what the model was trained for
  bool allow_long_context = false;
  std::uint32_t running_max = 256;
  std::string numerics = "exact";  // exact or fast
  std::string weights = "auto";    // auto, packed or mapped
};

/// Flags of one worker that `llmd up` has, too, and hands on to each of its workers. docs/configuration.md explains
/// each.
struct WorkerFlags : MemoryFlags {
  std::vector<std::string> served_names;  // the first one stands in answers and metrics
  std::uint32_t waiting_max = 1'024;
  std::uint32_t step_tokens = 256;
  double tpot_target_ms = 0;  // 0: chosen by what steps cost
  std::int32_t gpu_layers = 0;
  std::string pooling = "model";  // of embeddings: model, none, mean, cls or last
  std::string chat_template_path;
  KvFlags kv;
};

/// Both return the options that were added, in the order of the help; `flags` must outlive `app`.
std::vector<CLI::Option*> add_memory_flags(CLI::App& app, MemoryFlags& flags);
std::vector<CLI::Option*> add_worker_flags(CLI::App& app, WorkerFlags& flags);

/// What one flag alone does not show. Error kConfigInvalid or kAddressInvalid names the flag.
[[nodiscard]] Result<void> check_memory_flags(const MemoryFlags& flags);
[[nodiscard]] Result<void> check_worker_flags(const WorkerFlags& flags);

/// The given ones among `options` as arguments for another command that has them; after parsing.
[[nodiscard]] std::vector<std::string> given_arguments(const std::vector<CLI::Option*>& options);

}  // namespace llmd::flags
