// links: llmd_app_sim
// What `llmd sim calibrate` reads of an endpoint: any metrics page and any event of a stream are taken or skipped,
// within the bounds that a profile has.
#include "apps/sim/endpoint_facts.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "apps/sim/prober.h"
#include "config/hardware_profile.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  llmd::sim::EndpointFacts facts;
  llmd::sim::read_metrics(text, facts);
  namespace config = llmd::config;
  if (facts.slots.size() > config::kProfileClassesMax || facts.block_tokens > config::kProfileBlockTokensMax)
    std::abort();
  std::uint32_t before = 0;
  for (const auto& each : facts.slots) {
    if (each.tokens_max <= before || each.tokens_max > config::kProfileTokensMax) std::abort();
    if (each.slots == 0 || each.slots > config::kProfileSlotsMax) std::abort();
    before = each.tokens_max;
  }
  llmd::sim::ProbeAnswer answer;
  const auto taken = llmd::sim::take_event(text, llmd::TimePoint{}, answer);
  if (taken && answer.tokens.size() > 1) std::abort();
  return 0;
}
