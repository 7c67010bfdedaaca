#pragma once

#include <string_view>
#include <vector>

#include "api/openai/model_list.h"
#include "base/error.h"

namespace llmd::openai {

inline constexpr std::size_t kListedModelsMax = 256;

/// Reads another server's answer to GET /v1/models; of more than kListedModelsMax models the first count. Unknown
/// fields are ignored. Errors: kInvalidJson, kProtocol (no `data` list, or a model without `id`).
[[nodiscard]] Result<std::vector<ModelCard>> read_model_list(std::string_view json);

}  // namespace llmd::openai
