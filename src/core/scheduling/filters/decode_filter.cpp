#include "scheduling/filters/decode_filter.h"

#include <fmt/format.h>

#include "scheduling/filters/has_role.h"
#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {
namespace {

constexpr std::string_view kRoles[] = {"decode", "prefill-decode", "both", "encode-prefill-decode"};

}  // namespace

constinit const PluginSpec DecodeFilter::kSpec{
    .type = "decode-filter",
    .kind = PluginKind::kFilter,
    .help = "keeps endpoints whose llm-d.ai/role label is absent or includes decode",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin { return std::make_unique<const DecodeFilter>(); },
};

FixedValue DecodeFilter::fixed_value(const Endpoint& endpoint) const {
  return {.low = has_role(endpoint, kRoles, {.without_label = true}) ? 1.0F : 0.0F};
}

std::size_t DecodeFilter::filter(const PluginInput& input, std::span<EndpointIndex> candidates) const noexcept {
  return keep_if(candidates, [&](EndpointIndex i) { return input.fixed[i].low != 0; });
}

std::string DecodeFilter::reason(const PluginInput& input, EndpointIndex endpoint) const {
  const auto& labels = input.endpoints[endpoint].endpoint->labels;
  const auto role = labels.find(std::string{kRoleLabel});
  return fmt::format("{} is {}; wanted one that decodes, or none", kRoleLabel,
                     role == labels.end() ? "absent" : role->second);
}

}  // namespace llmd::scheduling
