// links: llmd_app_sim
// What `llmd sim calibrate` reads of an endpoint: any metrics page and any event of a stream are taken or skipped,
// within the bounds that a profile has.
#include "apps/sim/endpoint_facts.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "apps/sim/prober.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  llmd::sim::EndpointFacts facts;
  llmd::sim::read_metrics(text, facts);
  if (facts.slots.size() > 16 || facts.block_tokens > 4'096) std::abort();
  for (std::size_t i = 1; i < facts.slots.size(); ++i) {
    if (facts.slots[i].tokens_max < facts.slots[i - 1].tokens_max) std::abort();
  }
  llmd::sim::ProbeAnswer answer;
  const auto taken = llmd::sim::take_event(text, llmd::TimePoint{}, answer);
  if (taken && answer.tokens.size() > 1) std::abort();
  return 0;
}
