#pragma once

#include <span>
#include <string>

#include "base/clock.h"
#include "pool/pool.h"

namespace llmd::admin {

/// The JSON of /endpoints: {"endpoints": [...]}; readings come with their age in milliseconds at `now`.
[[nodiscard]] std::string endpoints_json(std::span<const pool::EndpointReport> reports, TimePoint now);

}  // namespace llmd::admin
