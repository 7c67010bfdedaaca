#pragma once

#include <memory>
#include <string>

#include "apps/sidecar/mooncake_directory.h"
#include "apps/sidecar/moriio_hosts.h"
#include "apps/sidecar/options.h"
#include "apps/sidecar/sidecar_metrics.h"
#include "base/rng.h"
#include "net/client.h"
#include "pd/allow_list.h"
#include "runtime/loop.h"

namespace llmd::sidecar {

/// What all loops share. Outlives their requests.
struct Shared {
  const Options& options;
  const pd::AllowSource& allowed;
  const MoriioHosts& moriio;
  SidecarMetrics& metrics;
};

/// The connections of one side, and how they are encrypted.
struct Sides {
  std::shared_ptr<const net::TlsClient> prefiller;
  std::shared_ptr<const net::TlsClient> decoder;
  std::shared_ptr<const net::TlsClient> encoder;

  /// Errors as TlsClient::make().
  [[nodiscard]] static Result<Sides> make(const Options& options);
};

/// What the requests of one loop share.
struct LoopContext {
  LoopContext(Loop& on, const Shared& with, const Sides& sides);

  /// The engine of a rank.
  [[nodiscard]] net::Address engine(unsigned rank) const;

  Loop& loop;
  const Shared& shared;
  net::Client prefiller;
  net::Client decoder;
  net::Client encoder;
  net::Client bootstrap;
  MooncakeDirectory mooncake;
  Rng rng;
};

}  // namespace llmd::sidecar
