#pragma once

#include <cstdint>
#include <optional>

namespace llmd::reporting {

/// The tokens of a request that ended, as its engine told them; what it did not tell is 0. Under the names of OpenAI's
/// API, whichever API was used.
struct Usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
  std::uint64_t total_tokens = 0;
  std::optional<std::uint64_t> cached_tokens{};  // of the prompt; no value: the answer had no prompt_tokens_details
};

}  // namespace llmd::reporting
