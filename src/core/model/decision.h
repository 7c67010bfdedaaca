#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/endpoint.h"
#include "model/latency_basis.h"
#include "model/weight_trial.h"

namespace llmd {

/// Where a request goes. A value: the caller acts on `outcome`.
struct Decision {
  enum class Outcome : std::uint8_t {
    kDispatch,      // send to `decode` (and first to `prefill`, if there is one)
    kNoEndpoint,    // nothing can serve it now: answer 503
    kModelUnknown,  // no endpoint of the pool serves the model: answer 404
    kNotAdmitted,   // an admitter refused it for now: answer 429
  };
  Outcome outcome = Outcome::kNoEndpoint;
  std::shared_ptr<const Endpoint> decode;
  std::shared_ptr<const Endpoint> prefill;                        // null: no separate prefill leg
  std::vector<std::shared_ptr<const Endpoint>> decode_fallbacks;  // next best, best first
  std::uint32_t endpoints_wanted = 1;  // the picker's maxNumOfEndpoints: how many of these a proxy is told
  std::vector<std::shared_ptr<const Endpoint>> encode;            // for media, best first; empty: no encode leg
  std::shared_ptr<const Endpoint> kv_source;                      // holds more of the prompt than `decode`; null: none
  std::uint32_t cached_tokens_expected = 0;                       // on the decode endpoint, by the prefix index
  bool cached_anywhere = false;                                   // any candidate had a block of the prompt
  std::uint16_t data_parallel_port = 0;  // data-parallel-profile-handler: connect here, `decode` is named by a header
  LatencyBasis latency{};                // of the decode endpoint as it was chosen
  LatencyBasis prefill_latency{};        // of the prefill endpoint, if there is one
  WeightTrial trial{};                   // of learned weights
};

/// What became of a dispatched request: one value to telemetry, predictors, prefix index, pool and explanation ring.
struct Outcome {
  std::string request_id;
  std::string endpoint;
  std::string prefill_endpoint;  // empty: none
  std::string prefill_error;     // why its leg failed, so that `endpoint` computed the prompt; empty: it did not
  int status = 0;
  bool endpoint_failed = false;  // the endpoint is to blame: connect error, 5xx, cut stream
  bool cancelled = false;        // the client left
  std::uint32_t retries = 0;
  Duration prefill{};  // of `ttft`, until the prefill leg had answered
  Duration ttft{};     // to the first byte of the answer's body
  Duration total{};
  Duration streamed{};       // from the first byte to the last of an answer that was streamed to its end; else 0
  bool client_slow = false;  // it held the stream up: `streamed` says little of the endpoint
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_tokens = 0;
  std::uint32_t completion_tokens = 0;
  std::uint64_t kv_blocks = 0;  // moved from prefill to decode
  std::uint64_t kv_bytes = 0;
  std::uint32_t kv_recomputed_tokens = 0;
};

}  // namespace llmd
