#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "flags/worker_flags.h"

namespace llmd::doctor {

enum class Verdict : std::uint8_t {
  kGood,
  kWarning,  // works, but not as well as it could
  kBad,      // `llmd up` will not start
};

struct Finding {
  Verdict verdict = Verdict::kGood;
  std::string subject;  // "port", "memory", ...
  std::string text;     // what was found; for warnings and worse, what to do
};

/// Whether `listen` can be bound now.
[[nodiscard]] Finding check_port(std::string_view listen);
/// Whether the model file is there and whole.
[[nodiscard]] Finding check_model(const std::string& wanted);
/// Whether the workers fit into memory, each with weights, KV, compute buffers and block store: the arithmetic is that
/// of `worker` and `up`. `available` is in bytes.
[[nodiscard]] Finding check_memory(const std::string& wanted_model, const flags::MemoryFlags& flags,
                                   std::uint32_t workers, std::uint64_t available);
/// Cores and instruction sets that the engine is fast with.
[[nodiscard]] Finding check_cpu();
/// Whether the folder for sockets can be used.
[[nodiscard]] Finding check_runtime_folder();
/// Versions of what is inside.
[[nodiscard]] Finding check_versions();

}  // namespace llmd::doctor
