#pragma once

#include <atomic>
#include <vector>

#include "pool/pool.h"
#include "scheduling/scheduler.h"

namespace llmd::routing {

/// What is in flight at each endpoint of the view right now, in its order, in the place of what `into` held.
inline void read_live_loads(const pool::PoolView& view, std::vector<scheduling::LiveLoad>& into) {
  into.clear();
  for (const auto& counters : view.in_flight) {
    into.push_back({.requests = counters->requests.load(std::memory_order_relaxed),
                    .tokens = counters->tokens.load(std::memory_order_relaxed),
                    .prefilling = counters->prefilling.load(std::memory_order_relaxed),
                    .prefill_tokens = counters->prefill_tokens.load(std::memory_order_relaxed),
                    .context_tokens = counters->context_tokens.load(std::memory_order_relaxed),
                    .prefill_head = counters->prefill_head.load(std::memory_order_relaxed),
                    .prefill_since = counters->prefill_since.load(std::memory_order_relaxed)});
  }
}

}  // namespace llmd::routing
