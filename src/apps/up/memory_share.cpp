#include "apps/up/memory_share.h"

#include <fmt/format.h>

#include <utility>

#include "base/mebibytes.h"

namespace llmd::up {

namespace {

using engine::MemoryPlan;

/// What all workers of a model take together.
std::uint64_t total(const MemoryPlan& plan, std::uint32_t workers) {
  return plan.need.shared_weights + plan.need.own() * workers;
}

Result<MemoryPlan> plan_one(const ModelShare& model, const flags::MemoryFlags& flags, std::uint64_t available) {
  return engine::plan_memory(model.facts,
                             {.kv_bytes = flags.kv_bytes,
                              .store_bytes = flags.store_bytes,
                              .context_tokens = flags.context_tokens,
                              .allow_long_context = flags.allow_long_context,
                              .sequences_max = flags.running_max,
                              .weights = engine::weights_of(flags.numerics, flags.weights)},
                             {.available = available, .engines = model.workers});
}

}  // namespace

Result<std::vector<MemoryPlan>> share_memory(std::span<const ModelShare> models, const flags::MemoryFlags& flags,
                                             std::uint64_t available) {
  std::vector<MemoryPlan> plans;
  std::uint64_t all = 0;
  for (const ModelShare& model : models) {
    auto plan = plan_one(model, flags, available);
    if (!plan && models.size() > 1) plan.error().what = fmt::format("{}: {}", model.name, plan.error().what);
    if (!plan) return std::unexpected(std::move(plan).error());
    all += total(*plan, model.workers);
    plans.push_back(*std::move(plan));
  }
  if (models.size() == 1 || all <= available) return plans;
  for (std::size_t i = 0; i < models.size(); ++i) {
    const double part = static_cast<double>(total(plans[i], models[i].workers)) / static_cast<double>(all);
    const auto share = static_cast<std::uint64_t>(static_cast<double>(available) * part);
    auto plan = plan_one(models[i], flags, share);
    if (!plan) {
      plan.error().what = fmt::format("{}, whose share is {} of the {} that {} models have: {}", models[i].name,
                                      in_mebibytes(share), in_mebibytes(available), models.size(), plan.error().what);
      return std::unexpected(std::move(plan).error());
    }
    plans[i] = *std::move(plan);
    plans[i].shrunk = true;
  }
  return plans;
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
