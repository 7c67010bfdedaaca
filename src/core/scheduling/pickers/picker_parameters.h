#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// What all pickers take. As in llm-d, a number below 1 means 1.
inline constexpr std::array kPickerParameters{
    ParameterSpec{.name = "maxNumOfEndpoints",
                  .type = ParameterType::kInteger,
                  .number = 1,
                  .min = -1'000'000,
                  .max = 1'000'000,
                  .help = "endpoints to name, best first; those after the first are for retries"},
};

[[nodiscard]] inline std::uint32_t picked_endpoints_max(const ParameterReader& parameters) {
  return static_cast<std::uint32_t>(std::max<std::int64_t>(1, parameters.integer("maxNumOfEndpoints")));
}

}  // namespace llmd::scheduling
