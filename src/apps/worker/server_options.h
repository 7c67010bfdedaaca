#pragma once

#include "apps/worker/options.h"
#include "base/error.h"
#include "net/server.h"

namespace llmd::worker {

/// The listener that the options ask for; a warning is logged if it stands open. Error kAddressInvalid.
[[nodiscard]] Result<net::ServerOptions> server_options(const Options& options);

}  // namespace llmd::worker
