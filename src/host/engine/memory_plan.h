#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "batching/batch_scheduler.h"
#include "llamacpp/model_facts.h"

namespace llmd::engine {

/// Where the weights lie.
enum class Weights : std::uint8_t {
  kMapped,  // read from the file, whose pages all engines share
  kPacked,  // as tiles, which each engine has for itself; what cannot be packed is mapped
  kCopied,  // in an order of llama.cpp's, each engine for itself
};

/// What is asked for one engine. Zero or nothing means: chosen here.
struct MemoryRequest {
  std::uint64_t kv_bytes = 0;                // of running sequences
  std::optional<std::uint64_t> store_bytes;  // of the block store; 0: none
  std::uint32_t context_tokens = 0;          // longest prompt + output; 0: the model's
  bool allow_long_context = false;           // beyond what the model was trained for
  std::uint32_t sequences_max = 256;         // running at once, at most
  std::optional<Weights> weights;            // nothing: packed, unless the copies take too much
};

/// The machine, and how many engines like this one share it.
struct MemoryShare {
  std::uint64_t available = 0;  // bytes, before any of them has started
  std::uint32_t engines = 1;
};

struct MemoryNeed {
  std::uint64_t shared_weights = 0;  // mapped once for all engines
  std::uint64_t own_weights = 0;
  std::uint64_t kv = 0;
  std::uint64_t compute = 0;
  std::uint64_t store = 0;
  /// What each engine has of its own.
  [[nodiscard]] std::uint64_t own() const noexcept { return own_weights + kv + compute + store; }
};

/// How one engine divides its memory.
struct MemoryPlan {
  std::vector<batching::SlotClass> classes;  // none: the model does not generate
  std::uint32_t context_tokens = 0;
  Weights weights = Weights::kMapped;
  std::uint64_t kv_bytes = 0;  // what the classes were made from: the same --kv-memory makes the same classes
  MemoryNeed need;
  bool shrunk = false;  // KV or store are smaller than what would be chosen on a larger machine
};

inline constexpr std::uint64_t kStoreBytesDefault = 1ULL << 30U;

/// What --numerics and --weights say together; nothing: the plan is to choose.
[[nodiscard]] std::optional<Weights> weights_of(std::string_view numerics, std::string_view weights);

/// The one arithmetic of `worker`, `up` and `doctor`. What was asked for is given or refused; what was not, shrinks to
/// the share: KV down to one sequence of the whole context, the store down to nothing. Pure. Errors: kOutOfMemory has
/// all numbers, and its hint the flag that helps; kConfigInvalid: a context beyond the trained one.
[[nodiscard]] Result<MemoryPlan> plan_memory(const llamacpp::ModelFacts& model, const MemoryRequest& request,
                                             const MemoryShare& share);

/// "weights 100 MiB, KV 200 MiB, compute 50 MiB, block store 10 MiB"
[[nodiscard]] std::string describe(const MemoryNeed& need);

/// Bytes that this process may still take: the machine's available memory, or what a cgroup (v2) or a limit of its
/// address space leaves if that is less. `root` is where /proc and /sys are.
[[nodiscard]] std::uint64_t available_memory_bytes(const std::filesystem::path& root = "/");

}  // namespace llmd::engine
