#pragma once

#include <string>
#include <utility>
#include <vector>

#include "flow/flow_controller.h"
#include "flow/rules.h"

namespace llmd::flow::testing {

/// Rules of a configuration that is right.
inline FlowRules made_rules(const FlowConfig& config = {}) {
  auto rules = make_rules(config);
  return rules ? *std::move(rules) : FlowRules{};
}

/// One band, by the types of its policies.
inline FlowConfig one_band(std::string fairness, std::string ordering = "fcfs-ordering-policy") {
  FlowConfig config;
  config.bands.push_back({.priority = 0, .fairness = std::move(fairness), .ordering = std::move(ordering)});
  return config;
}

/// A gate that lets so many requests through in a step.
inline GateReading gate_of(int requests) {
  constexpr float kShare = 1.0F / 1'024;  // exact, so that sums are
  return {.saturation = 1 - kShare * static_cast<float>(requests), .per_request = kShare};
}

}  // namespace llmd::flow::testing
