#include "apps/up/memory_share.h"

#include "llamacpp/model_facts.h"

namespace llmd::up {

Result<engine::MemoryPlan> share_memory(const std::string& model_path, const flags::MemoryFlags& flags,
                                        std::uint32_t workers) {
  LLMD_TRY(const llamacpp::ModelFacts facts, llamacpp::read_model_facts(model_path));
  return engine::plan_memory(facts,
                             {.kv_bytes = flags.kv_bytes,
                              .store_bytes = flags.store_bytes,
                              .context_tokens = flags.context_tokens,
                              .allow_long_context = flags.allow_long_context,
                              .sequences_max = flags.running_max,
                              .weights = engine::weights_of(flags.numerics, flags.weights)},
                             {.available = engine::available_memory_bytes(), .engines = workers});
}

std::vector<std::string> memory_arguments(const engine::MemoryPlan& plan) {
  std::vector<std::string> arguments;
  if (plan.weights != engine::Weights::kCopied) {
    arguments = {"--weights", plan.weights == engine::Weights::kPacked ? "packed" : "mapped"};
  }
  if (plan.classes.empty()) return arguments;  // embeddings only
  arguments.insert(arguments.end(),
                   {"--kv-memory", std::to_string(plan.kv_bytes), "--store-memory", std::to_string(plan.need.store)});
  return arguments;
}

std::vector<std::string> memory_arguments(const flags::MemoryFlags& flags) {
  std::vector<std::string> arguments{"--weights", flags.weights};
  if (flags.kv_bytes > 0) arguments.insert(arguments.end(), {"--kv-memory", std::to_string(flags.kv_bytes)});
  if (flags.store_bytes) arguments.insert(arguments.end(), {"--store-memory", std::to_string(*flags.store_bytes)});
  return arguments;
}

}  // namespace llmd::up
