#pragma once

#include <span>
#include <string>
#include <string_view>

#include "routing/explanation_ring.h"

namespace llmd::admin {

/// The JSON of /explanations/{id}; docs/explain.md describes it. Numbers keep three digits. No prompt text.
[[nodiscard]] std::string record_json(const routing::RequestRecord& record);

/// The JSON of /explanations/{id}?why_not=ENDPOINT, which docs/explain.md describes as well. `pool_names`: the
/// endpoints that there are now.
[[nodiscard]] std::string why_not_json(const routing::RequestRecord& record, std::string_view asked,
                                       std::span<const std::string> pool_names);

}  // namespace llmd::admin
