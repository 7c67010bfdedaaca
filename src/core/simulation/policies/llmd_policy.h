#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/budget.h"
#include "base/error.h"
#include "prefix/prefix_index.h"
#include "scheduling/scheduler.h"
#include "simulation/policies/endpoint_places.h"
#include "simulation/policy.h"

namespace llmd::simulation {

/// The code that ships: a scheduling::Scheduler with the index, the memory and the scratch that `routing` gives it. The
/// configuration says which llm-d it is; an empty one is llm-d's default (queue 2, KV use 2, prefix 3).
class LlmdPolicy final : public Policy {
 public:
  struct Options {
    std::size_t index_bytes = 64UL * 1024 * 1024;  // of the prefix index: the gateway's default
    std::uint16_t index_endpoints_max = 1'024;     // as PrefixIndex::Options::endpoints_max
    std::uint64_t seed = 0;                        // of the tables
  };

  /// Error kConfigInvalid as from Scheduler::make.
  [[nodiscard]] static Result<std::unique_ptr<LlmdPolicy>> make(scheduling::SchedulingConfig config, Options options);

  [[nodiscard]] PolicyChoice choose(const PolicyInput& input) override;
  void sent(const PolicyInput& input, const PolicyChoice& choice) override;
  void endpoint_lost(std::uint32_t endpoint) override;

  [[nodiscard]] const scheduling::Scheduler& scheduler() const noexcept { return scheduler_; }
  [[nodiscard]] PrefixIndex::Stats index_stats() const { return index_.stats(); }

 private:
  LlmdPolicy(scheduling::Scheduler scheduler, Options options);
  /// Whether the last decision was for this request and sends it there.
  [[nodiscard]] bool decided(const PolicyInput& input, const PolicyChoice& choice) const noexcept;

  scheduling::Scheduler scheduler_;
  scheduling::SchedulerMemory memory_;
  Budget index_budget_;
  PrefixIndex index_;
  scheduling::DecisionScratch scratch_;
  EndpointPlaces places_;
  Decision decision_;  // the last
  std::uint64_t decided_for_ = 0;
};

}  // namespace llmd::simulation
