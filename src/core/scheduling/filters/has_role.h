#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "model/endpoint.h"

namespace llmd::scheduling {

struct RoleRule {
  bool without_label = false;  // what an endpoint without the label counts as
};

/// Whether the endpoint's llm-d.ai/role label is one of `roles`.
[[nodiscard]] inline bool has_role(const Endpoint& endpoint, std::span<const std::string_view> roles, RoleRule rule) {
  const auto role = endpoint.labels.find(std::string{kRoleLabel});
  if (role == endpoint.labels.end()) return rule.without_label;
  return std::find(roles.begin(), roles.end(), role->second) != roles.end();
}

}  // namespace llmd::scheduling
