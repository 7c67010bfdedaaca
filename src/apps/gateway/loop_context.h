#pragma once

#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "apps/gateway/pools.h"
#include "dispatch/dispatcher.h"
#include "routing/router.h"
#include "runtime/loop.h"
#include "telemetry/metrics.h"

namespace llmd::gateway {

/// What one loop of the gateway has for itself: connections to endpoints, scratch memory, its own randomness.
struct LoopContext {
  LoopContext(Loop& on, dispatch::DispatchOptions how)
      : loop{on},
        options{std::move(how)},
        scratch{seed()},
        ids{seed()},
        pages{on, {.response_timeout = kPageTimeout, .read_timeout = kPageTimeout, .idle_connections_max = 2}} {}

  /// The one of the pool, made with the first request to it.
  [[nodiscard]] dispatch::Dispatcher& dispatcher_of(ServingPool& pool) {
    if (dispatchers.size() <= pool.number) dispatchers.resize(pool.number + 1);
    auto& dispatcher = dispatchers[pool.number];
    if (dispatcher == nullptr) {
      dispatch::DispatchOptions made = options;
      made.client.tls = pool.tls;
      dispatcher =
          std::make_unique<dispatch::Dispatcher>(loop, pool.plane->pool(), pool.plane->router(), pool.metrics, made);
    }
    return *dispatcher;
  }

  Loop& loop;
  const dispatch::DispatchOptions options;
  routing::RouteScratch scratch;
  Rng ids;                                                         // request ids
  std::vector<std::unique_ptr<dispatch::Dispatcher>> dispatchers;  // by the numbers of their pools
  net::Client pages;                                               // fetches workers' metrics pages
  std::map<std::pair<const void*, int>, Counter*> answers;         // by route and status

 private:
  static constexpr milliseconds kPageTimeout{1'000};
  static std::uint64_t seed() {
    std::random_device device;
    return (std::uint64_t{device()} << 32U) | device();
  }
};

}  // namespace llmd::gateway
