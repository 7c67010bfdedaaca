#include "scheduling/filters/decode_filter.h"

#include <fmt/format.h>

#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {

constinit const PluginSpec DecodeFilter::kSpec{
    .type = "decode-filter",
    .kind = PluginKind::kFilter,
    .help = "keeps endpoints whose llm-d.ai/role label is absent or includes decode",
    .make = [](const ParameterReader& /*parameters*/) -> AnyPlugin { return std::make_unique<const DecodeFilter>(); },
};

std::size_t DecodeFilter::filter(const PluginInput& input, std::span<EndpointIndex> candidates) const noexcept {
  return keep_if(candidates, [&](EndpointIndex i) { return input.facts[i].may_decode; });
}

std::string DecodeFilter::reason(const PluginInput& input, EndpointIndex endpoint) const {
  const auto& labels = input.endpoints[endpoint].endpoint->labels;
  const auto role = labels.find(std::string{kRoleLabel});
  return fmt::format("{} is {}; wanted one that decodes, or none", kRoleLabel,
                     role == labels.end() ? "absent" : role->second);
}

}  // namespace llmd::scheduling
