#pragma once

#include <memory>

#include "apps/sidecar/options.h"
#include "base/error.h"
#include "pd/allow_list.h"

namespace llmd::sidecar {

/// Whom legs may be sent to: everyone, or the hosts of --allowed-hosts. A pool's pods will come from a watch of it; the
/// one place where that source is made is here. Error kUnsupported: only a pool is named.
[[nodiscard]] Result<std::unique_ptr<pd::AllowSource>> make_allow_source(const Options& options);

}  // namespace llmd::sidecar
