#pragma once

#include <span>
#include <string>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Keeps endpoints with few requests in flight, or at most so many times the mean of the candidates: what shares a
/// prefix stays together until its endpoint is busy and busier than others, and only then spreads (consistent hashing
/// with bounded loads, Mirrokni, Thorup and Zadimoghaddam 2016, for prefixes). Never empty: the least loaded is kept.
class BoundedLoadFilter final : public Filter {
 public:
  static const PluginSpec kSpec;
  struct Options {
    std::uint32_t free_requests = 8;  // an endpoint with fewer in flight is kept, whatever the others have
    float mean_multiple_max = 1.5F;   // at least 1
  };
  explicit BoundedLoadFilter(Options options) : options_{options} {}
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;

 private:
  Options options_;
};

}  // namespace llmd::scheduling
