#include "scheduling/filters/encode_filter.h"

#include <fmt/format.h>

#include "scheduling/filters/has_role.h"
#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {
namespace {

constexpr std::string_view kRoles[] = {"encode", "encode-prefill", "encode-prefill-decode"};

}  // namespace

constinit const PluginSpec EncodeFilter::kSpec{
    .type = "encode-filter",
    .kind = PluginKind::kFilter,
    .help = "keeps endpoints whose llm-d.ai/role label includes encode; the label is required",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin { return std::make_unique<const EncodeFilter>(); },
    .inputs = "label llm-d.ai/role",
};

FixedValue EncodeFilter::fixed_value(const Endpoint& endpoint) const {
  return {.low = has_role(endpoint, kRoles, {.without_label = false}) ? 1.0F : 0.0F};
}

std::size_t EncodeFilter::filter(const PluginInput& input, std::span<EndpointIndex> candidates) const noexcept {
  return keep_if(candidates, [&](EndpointIndex i) { return input.fixed[i].low != 0; });
}

std::string EncodeFilter::reason(const PluginInput& input, EndpointIndex endpoint) const {
  const auto& labels = input.endpoints[endpoint].endpoint->labels;
  const auto role = labels.find(std::string{kRoleLabel});
  return fmt::format("{} is {}; wanted one that encodes", kRoleLabel, role == labels.end() ? "absent" : role->second);
}

}  // namespace llmd::scheduling
