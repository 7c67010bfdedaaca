#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/memory_plan.h"
#include "flags/worker_flags.h"
#include "llamacpp/model_facts.h"

namespace llmd::up {

/// A model that shares the machine with others.
struct ModelShare {
  std::string name;
  llamacpp::ModelFacts facts{};
  std::uint32_t workers = 1;
};

/// How each worker of each model divides its share of `available` bytes. If what all would take alone does not fit,
/// each model gets a share in proportion to it. Pure. Error kOutOfMemory names the model, with the numbers.
[[nodiscard]] Result<std::vector<engine::MemoryPlan>> share_memory(std::span<const ModelShare> models,
                                                                   const flags::MemoryFlags& flags,
                                                                   std::uint64_t available);

/// The arguments that make a worker do what the plan says.
[[nodiscard]] std::vector<std::string> memory_arguments(const engine::MemoryPlan& plan);
/// Those for a worker that has the machine for itself, and makes its plan itself.
[[nodiscard]] std::vector<std::string> memory_arguments(const flags::MemoryFlags& flags);

}  // namespace llmd::up
