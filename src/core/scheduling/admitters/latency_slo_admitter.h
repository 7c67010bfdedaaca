#pragma once

#include "scheduling/latency_objectives.h"
#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Refuses a request of negative priority if predictions say that no endpoint meets its latency objectives, and none is
/// idle (no running request) or cold (less than 2% of its KV memory in use, so that predictions mean little). Admits
/// without an objective and without any prediction.
class LatencySloAdmitter final : public Admitter {
 public:
  static const PluginSpec kSpec;
  explicit LatencySloAdmitter(LatencyRules rules) : rules_{std::move(rules)} {}
  [[nodiscard]] bool has_fixed_value() const noexcept override { return !rules_.role_label.empty(); }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override {
    return prefill_mark(rules_, endpoint);
  }
  [[nodiscard]] const char* refuses(const PluginInput& input,
                                    std::span<const EndpointIndex> candidates) const noexcept override;

 private:
  LatencyRules rules_;
};

}  // namespace llmd::scheduling
