#include "scheduling/filters/model_filter.h"

#include <fmt/format.h>

#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {
namespace {

constexpr std::size_t kNamedMax = 3;

std::string names_of(const std::vector<ServedModel>& models) {
  std::string names;
  for (std::size_t i = 0; i < models.size() && i < kNamedMax; ++i) {
    if (i > 0) names += ", ";
    names += models[i].id;
  }
  if (models.size() > kNamedMax) names += fmt::format(" and {} more", models.size() - kNamedMax);
  return names;
}

}  // namespace

std::size_t ModelFilter::filter(const PluginInput& input, std::span<EndpointIndex> candidates) const noexcept {
  if (input.serves.empty()) return candidates.size();
  return keep_if(candidates, [&](EndpointIndex i) { return input.serves[i] != 0; });
}

std::string ModelFilter::reason(const PluginInput& input, EndpointIndex endpoint) const {
  return fmt::format("serves {}; wanted {}", names_of(input.endpoints[endpoint].endpoint->models), input.request.model);
}

}  // namespace llmd::scheduling
