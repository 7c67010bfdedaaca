#include "scheduling/filters/prefill_filter.h"

#include <fmt/format.h>

#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {

constinit const PluginSpec PrefillFilter::kSpec{
    .type = "prefill-filter",
    .kind = PluginKind::kFilter,
    .help = "keeps endpoints whose llm-d.ai/role label includes prefill; the label is required",
    .make = [](const ParameterReader& /*parameters*/) -> AnyPlugin { return std::make_unique<const PrefillFilter>(); },
};

std::size_t PrefillFilter::filter(const PluginInput& input, std::span<EndpointIndex> candidates) const noexcept {
  return keep_if(candidates, [&](EndpointIndex i) { return input.facts[i].may_prefill; });
}

std::string PrefillFilter::reason(const PluginInput& input, EndpointIndex endpoint) const {
  const auto& labels = input.endpoints[endpoint].endpoint->labels;
  const auto role = labels.find(std::string{kRoleLabel});
  return fmt::format("{} is {}; wanted one that prefills", kRoleLabel, role == labels.end() ? "absent" : role->second);
}

}  // namespace llmd::scheduling
