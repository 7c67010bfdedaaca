#pragma once

#include <string>

#include "base/rng.h"

namespace llmd {

/// A random UUID (RFC 9562, version 4) as text. Not for secrets.
[[nodiscard]] std::string uuid4(Rng& rng);

}  // namespace llmd
