#pragma once

#include <cstdint>

namespace llmd {

/// Megabytes a second of the link that others are compared with.
inline constexpr float kLinkReferenceMbps = 1'000;

/// What a prediction of latencies rested on when the request was sent, and what it said: kept with the decision, so
/// that the outcome can correct the model. Tokens are in thousands, which keeps the numbers near each other.
struct LatencyBasis {
  bool made = false;       // somebody wanted predictions
  bool known = false;      // and the model could give one
  float prompt = 0;        // thousands of tokens
  float cached = 0;        // of them, thought to be on the endpoint
  float queued = 0;        // uncached prompt tokens of earlier requests that have no first token yet
  float decoding = 0;      // requests that have their first token and are not over
  float context = 0;       // prompt tokens of all requests in flight there
  float waiting = 0;       // requests that the engine says wait
  float slot_wait = 0;     // seconds until those that wait have a place, if places are what they wait for
  float prefill_rate = 0;  // uncached prompt tokens that were sent there lately, a second
  // Of a decode leg whose prompt is computed elsewhere:
  bool apart = false;
  float moved = 0;         // thousands of tokens whose KV must come from there
  float link = 1;          // how many times as slow as a link of kLinkReferenceMbps it comes; 1 if nothing is known
  float link_latency = 0;  // ms; 0 if nothing is known
  float ttft_ms = 0;       // with what comes before this leg
  float tpot_ms = 0;
  float advantage_ms = 0;  // how much later the first token would have come from the next best endpoint of its class
};

}  // namespace llmd
