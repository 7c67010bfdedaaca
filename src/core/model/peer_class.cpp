#include "model/peer_class.h"

#include <string_view>

namespace llmd {

std::string peer_class(const Endpoint& endpoint) {
  constexpr std::string_view kLabels[] = {kRoleLabel, "llm-d.ai/variant", "inference.optimization/acceleratorName"};
  std::string name = endpoint.models.empty() ? std::string{} : endpoint.models.front().id;
  for (const std::string_view label : kLabels) {
    const auto found = endpoint.labels.find(std::string{label});
    name += '\n';
    if (found != endpoint.labels.end()) name += found->second;
  }
  return name;
}

}  // namespace llmd
