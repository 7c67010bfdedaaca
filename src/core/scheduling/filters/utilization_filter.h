#pragma once

#include <vector>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Keeps endpoints each of whose listed metrics is at most its limit. A metric that an endpoint does not tell, or told
/// too long ago, counts as 0.
class UtilizationFilter final : public Filter {
 public:
  static const PluginSpec kSpec;
  enum class Load : std::uint8_t {
    kActiveRequests,   // of ours, sent and not ended
    kRunningRequests,  // as the engine tells
    kWaitingQueue,     // requests, as the engine tells
    kKvCacheUse,       // 0..1, as the engine tells
  };
  struct Condition {
    Load load = Load::kActiveRequests;
    float max = 0;
  };
  struct Options {
    std::vector<Condition> conditions;
    bool falls_back = false;  // keeps all candidates where it would keep none
  };
  explicit UtilizationFilter(Options options) : options_{std::move(options)} {}
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;

 private:
  [[nodiscard]] const Condition* broken(const PluginInput& input, EndpointIndex endpoint) const noexcept;

  Options options_;
};

}  // namespace llmd::scheduling
