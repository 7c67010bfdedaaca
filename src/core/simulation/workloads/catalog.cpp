#include "simulation/workloads/catalog.h"

#include <algorithm>
#include <array>

#include "simulation/workloads/agents.h"
#include "simulation/workloads/chat.h"
#include "simulation/workloads/documents.h"
#include "simulation/workloads/flip.h"
#include "simulation/workloads/shared_prefix.h"
#include "simulation/workloads/tenants.h"
#include "simulation/workloads/uniform.h"

namespace llmd::simulation {
namespace {

constexpr double kBurstyVariation = 8;

template <class Made, class Options>
std::unique_ptr<Workload> make(const GeneratorOptions& common) {
  Options options;
  options.common = common;
  return std::make_unique<Made>(options);
}

/// Single questions that come in clusters with long pauses between, which nothing announces.
std::unique_ptr<Workload> make_bursty(const GeneratorOptions& common) {
  ChatOptions options{.common = common};
  options.common.arrivals.variation = kBurstyVariation;
  options.dialog.turns_mean = 1;
  options.dialog.turns_max = 1;
  return std::make_unique<ChatWorkload>(options);
}

using Maker = std::unique_ptr<Workload> (*)(const GeneratorOptions&);

// Two tables with one order, so that the names alone can be handed out.
constexpr std::array<std::string_view, 8> kNames{"chat",    "agents",  "shared-prefix", "documents",
                                                 "tenants", "uniform", "bursty",        "flip"};
constexpr std::array<Maker, kNames.size()> kMakers{
    &make<ChatWorkload, ChatOptions>,
    &make<AgentWorkload, AgentOptions>,
    &make<SharedPrefixWorkload, SharedPrefixOptions>,
    &make<LongDocumentWorkload, LongDocumentOptions>,
    &make<TenantsWorkload, TenantsOptions>,
    &make<UniformWorkload, UniformOptions>,
    &make_bursty,
    &make<FlipWorkload, FlipOptions>,
};

}  // namespace

std::span<const std::string_view> workload_names() noexcept { return kNames; }

std::unique_ptr<Workload> make_workload(std::string_view name, const WorkloadOptions& options) {
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return nullptr;
  const GeneratorOptions common{
      .requests = options.requests, .seed = options.seed, .arrivals = {.rate_per_s = options.rate_per_s}};
  return kMakers[static_cast<std::size_t>(found - kNames.begin())](common);
}

}  // namespace llmd::simulation
