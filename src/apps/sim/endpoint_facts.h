#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/sim/prober.h"
#include "base/error.h"
#include "batching/batch_scheduler.h"

namespace llmd::sim {

/// What an endpoint's pages say of its size, within what a profile may say. 0, empty or nothing: they do not.
struct EndpointFacts {
  std::string model;
  std::uint32_t context_tokens = 0;
  std::uint32_t block_tokens = 0;
  std::uint64_t kv_tokens = 0;             // of running sequences
  std::uint64_t store_tokens = 0;          // of the prefix cache
  std::vector<batching::SlotClass> slots;  // of workers of ours only, which have them; smallest first
  bool llama_steps = false;                // the same
  std::optional<double> steps;             // since its start
};

/// From a metrics page with vLLM's names; whatever is not understood is skipped.
void read_metrics(std::string_view page, EndpointFacts& facts);

/// Asks /v1/models and /metrics. Blocks. Errors: of the connection, or kUpstreamFailed if there is no model list; a
/// missing metrics page is none.
[[nodiscard]] Result<EndpointFacts> fetch_facts(const ProbeTarget& target);

}  // namespace llmd::sim
