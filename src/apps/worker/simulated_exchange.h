#pragma once

#include <memory>

#include "apps/worker/kv_exchange.h"
#include "engine/simulated_engine.h"

namespace llmd::worker {

/// For a simulated engine, which has no bytes. Leases, peers and connections are the real ones, and blocks travel as
/// stand-ins of 8 bytes; what came counts as received once the time that the profile's link takes for the real bytes
/// has passed, and nothing of it if the client leaves meanwhile. Errors of the listener. Engine and registry must
/// outlive it.
[[nodiscard]] Result<std::unique_ptr<KvExchange>> make_simulated_exchange(Loop& loop, const KvSetup& setup,
                                                                          SimulatedEngine& engine,
                                                                          MetricsRegistry& registry);

}  // namespace llmd::worker
