#pragma once

#include <cstddef>
#include <cstdint>

#include "base/error.h"

namespace llmd {

/// Whether a prompt and the output asked for fit into a context. Said by the engine, and by the gateway before it sends
/// anything, in the same words. `output_tokens_max` 0 means up to the end of the context. Error kContextLengthExceeded.
struct ContextNeed {
  std::size_t prompt_tokens = 0;
  std::uint32_t output_tokens_max = 0;
};
[[nodiscard]] Result<void> check_context(const ContextNeed& need, std::uint32_t context_tokens);

}  // namespace llmd
