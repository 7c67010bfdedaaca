#pragma once

#include "api/openai/field.h"
#include "api/openai/kv_transfer_params.h"

namespace llmd::openai {

/// Internal: reads `kv_transfer_params`. Null members count as absent.
[[nodiscard]] Result<KvTransferParams> read_kv_transfer_params(std::string_view field, Element value);

}  // namespace llmd::openai
