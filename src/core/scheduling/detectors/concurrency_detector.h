#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Saturation by what is in flight from here, so never stale: of requests, or of tokens, in all over the capacity of
/// all; or the mean over the endpoints of the larger ratio of the two. As a filter it keeps endpoints that have less
/// than the capacity times 1 + headroom, rounded down, in flight, even if that is none.
class ConcurrencyDetector final : public SaturationDetector {
 public:
  static const PluginSpec kSpec;
  enum class Mode : std::uint8_t { kRequests, kTokens, kHybrid };
  struct Options {
    Mode mode = Mode::kRequests;
    std::uint64_t requests_full = 100;      // an endpoint; at least 1
    std::uint64_t tokens_full = 1'000'000;  // an endpoint; at least 1
    double headroom = 0;
  };
  explicit ConcurrencyDetector(Options options) noexcept;
  [[nodiscard]] float saturation(const PluginInput& input,
                                 std::span<const EndpointIndex> endpoints) const noexcept override;
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;

 private:
  [[nodiscard]] bool requests_fit(const PluginInput& input, EndpointIndex endpoint) const noexcept;
  [[nodiscard]] bool tokens_fit(const PluginInput& input, EndpointIndex endpoint) const noexcept;

  Options options_;
  std::uint64_t requests_limit_;
  std::uint64_t tokens_limit_;
};

}  // namespace llmd::scheduling
