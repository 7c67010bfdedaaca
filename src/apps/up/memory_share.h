#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/memory_plan.h"
#include "flags/worker_flags.h"

namespace llmd::up {

/// How each of `workers` divides its share of this machine's memory. Reads the model's shape from its file. Errors:
/// kFileNotFound, kFileInvalid, kOutOfMemory with the numbers.
[[nodiscard]] Result<engine::MemoryPlan> share_memory(const std::string& model_path, const flags::MemoryFlags& flags,
                                                      std::uint32_t workers);

/// The arguments that make a worker do what the plan says.
[[nodiscard]] std::vector<std::string> memory_arguments(const engine::MemoryPlan& plan);
/// Those for a worker that has the machine for itself, and makes its plan itself.
[[nodiscard]] std::vector<std::string> memory_arguments(const flags::MemoryFlags& flags);

}  // namespace llmd::up
