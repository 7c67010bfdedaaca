#pragma once

#include <span>
#include <string>

#include "base/clock.h"
#include "pool/pool.h"
#include "routing/explanation_ring.h"

namespace llmd::admin {

/// The JSON of /explanations/{id}. Names are those of the structs; scores keep three digits. No prompt text.
[[nodiscard]] std::string record_json(const routing::RequestRecord& record);

/// The JSON of /endpoints: {"endpoints": [...]}; readings come with their age in milliseconds at `now`.
[[nodiscard]] std::string endpoints_json(std::span<const pool::EndpointReport> reports, TimePoint now);

}  // namespace llmd::admin
