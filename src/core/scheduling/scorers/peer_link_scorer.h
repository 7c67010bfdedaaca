#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "model/link_table.h"
#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints between which and the peer, the endpoint that an earlier stage of the request chose, the prompt's
/// KV moves fast: half / (half + t), where t is the expected time of the transfer in seconds:
///   t = latency + tokens * bytes_per_token / (bandwidth * (1 - loss)),
/// tokens being what of the prompt the receiver probably does not hold. 1 where nothing moves: the receiver holds the
/// prompt, or the candidate is the peer. No data without a peer, or where latency or bandwidth of the link is not
/// known; loss counts as 0 until it is measured. Links are measured more rarely than engines are, so their readings may
/// be as old as `age_max`.
class PeerLinkScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  static constexpr std::string_view kFromPeer = "from-peer";
  struct Options {
    float half_score_seconds = 0.1F;  // the transfer that scores 0.5
    float bytes_per_token = 131'072;  // of KV, over all layers
    bool from_peer = false;           // the peer prefills; else it decodes and the candidate prefills
    Duration age_max = seconds{60};   // older readings of links count as missing
  };
  explicit PeerLinkScorer(Options options) noexcept : options_{options} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kPrefixMatch; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  [[nodiscard]] std::optional<float> transfer_seconds(const PluginInput& input, EndpointIndex candidate) const noexcept;
  [[nodiscard]] std::optional<float> usable(const PluginInput& input, const Reading<float>& reading) const noexcept;

  Options options_;
};

}  // namespace llmd::scheduling
