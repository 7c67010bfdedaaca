#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/budget.h"
#include "base/error.h"
#include "prefix/prefix_index.h"
#include "scheduling/scheduler.h"
#include "simulation/policies/block_holders.h"
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
    /// What endpoints hold is known from their KV events, as with llm-d's precise-prefix-cache-producer (without its
    /// speculativeIndexing); the approximate index is not asked.
    bool precise = false;
  };

  /// Error kConfigInvalid as from Scheduler::make.
  [[nodiscard]] static Result<std::unique_ptr<LlmdPolicy>> make(scheduling::SchedulingConfig config, Options options);

  [[nodiscard]] PolicyChoice choose(const PolicyInput& input) override;
  [[nodiscard]] std::uint32_t cached_tokens(const PolicyInput& input) override;
  void sent(const PolicyInput& input, const PolicyChoice& choice) override;
  void block_stored(std::uint32_t endpoint, std::uint64_t block) override { holders_.add(block, endpoint); }
  void block_removed(std::uint32_t endpoint, std::uint64_t block) override { holders_.remove(block, endpoint); }
  void finished(const PolicyOutcome& outcome, TimePoint now) override;
  void endpoint_lost(std::uint32_t endpoint) override;
  [[nodiscard]] bool heeds_shares() const noexcept override { return true; }
  [[nodiscard]] bool wants_block_events() const noexcept override { return precise_; }

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
  bool precise_;
  BlockHolders holders_;
  std::vector<std::uint32_t> matched_;
  PrefixMatch match_;  // of cached_tokens()
  Decision decision_;  // the last
  std::uint64_t decided_for_ = 0;
  std::unordered_map<std::uint64_t, Decision> under_way_;  // of requests whose outcome somebody learns from
};

}  // namespace llmd::simulation
