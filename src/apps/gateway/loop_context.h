#pragma once

#include <map>
#include <memory>
#include <random>
#include <utility>

#include "dispatch/dispatcher.h"
#include "routing/router.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"

namespace llmd::gateway {

/// What one loop of the gateway has for itself: connections to endpoints, scratch memory, its own randomness.
struct LoopContext {
  LoopContext(Loop& on, pool::Pool& pool, routing::Router& router, MetricsRegistry& metrics,
              dispatch::DispatchOptions options)
      : loop{on},
        scratch{seed()},
        ids{seed()},
        dispatcher{on, pool, router, metrics, options},
        pages{on, {.response_timeout = kPageTimeout, .read_timeout = kPageTimeout, .idle_connections_max = 2}} {}

  Loop& loop;
  routing::RouteScratch scratch;
  Rng ids;  // request ids
  dispatch::Dispatcher dispatcher;
  net::Client pages;                                        // fetches workers' metrics pages
  std::map<std::pair<const void*, int>, Counter*> answers;  // by route and status

 private:
  static constexpr milliseconds kPageTimeout{1'000};
  static std::uint64_t seed() {
    std::random_device device;
    return (std::uint64_t{device()} << 32U) | device();
  }
};

}  // namespace llmd::gateway
