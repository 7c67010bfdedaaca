#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Names an endpoint that holds more of the prompt than the one that computes it, to copy the KV from. Holds no data.
struct P2pSourceProducer {
  static const PluginSpec kSpec;
  struct Options {
    std::uint32_t tokens_more_min = 1;  // cached tokens beyond those of the computing endpoint; at least 1
  };
  [[nodiscard]] static Options read(const ParameterReader& parameters);
};

/// The endpoint to copy KV from: of those that are not down and hold all but one of the most blocks that any such
/// holds, or more, one by chance with the weight 1 / (1 + waiting requests), where missing and stale readings count as
/// 0. The chance is the hash of the request's id, so the same request always gets the same. kNoEndpointIndex if nobody
/// holds anything, or the one drawn is `computing`, or holds less than `tokens_more_min` tokens more than it.
/// O(endpoints).
///
/// The band of one block and the drawing keep all requests of a prefix from one source. Pre: `computing` is an
/// endpoint.
[[nodiscard]] EndpointIndex choose_kv_source(const PluginInput& input, EndpointIndex computing,
                                             const P2pSourceProducer::Options& options) noexcept;

}  // namespace llmd::scheduling
