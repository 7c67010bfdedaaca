#include "simulation/workloads/uniform.h"

#include <algorithm>
#include <utility>

namespace llmd::simulation {

UniformWorkload::UniformWorkload(const UniformOptions& options)
    : generator_{options.common},
      arrivals_{options.common.arrivals, generator_.fork(1)},
      prompt_tokens_{std::clamp(options.prompt_tokens, 1U, kTextTokensMax)},
      output_tokens_{std::clamp(options.output_tokens, 1U, kTextTokensMax)} {}

std::optional<SimRequest> UniformWorkload::next() {
  if (generator_.left() == 0) return std::nullopt;
  BlockChain prompt{generator_.block_tokens()};
  prompt.append(generator_.fresh_text(prompt_tokens_));
  const Text answer = generator_.fresh_text(output_tokens_);
  return single_request({}, arrivals_.next(), std::move(prompt), answer, generator_);
}

}  // namespace llmd::simulation
