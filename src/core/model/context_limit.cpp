#include "model/context_limit.h"

#include <fmt/format.h>

#include <algorithm>

namespace llmd {

Result<void> check_context(const ContextNeed& need, std::uint32_t context_tokens) {
  const std::uint64_t output = std::max(1U, need.output_tokens_max);
  if (need.prompt_tokens + output <= context_tokens) return {};
  return fail(ErrorCode::kContextLengthExceeded,
              fmt::format("the prompt has {} tokens and {} are to be made; the context holds {}", need.prompt_tokens,
                          output, context_tokens),
              "shorten the prompt or lower max_tokens");
}

}  // namespace llmd
