#include "simulation/workloads/generator.h"

#include <algorithm>
#include <utility>

namespace llmd::simulation {

Generator::Generator(const GeneratorOptions& options) noexcept
    : seed_{options.seed}, rng_{fork(0)}, left_{options.requests}, block_tokens_{std::max(options.block_tokens, 1U)} {}

std::uint64_t Generator::fork(std::uint64_t stream) const noexcept { return chain_block(seed_, stream); }

Text Generator::fresh_text(const LogNormal& tokens) noexcept { return fresh_text(draw_tokens(tokens, rng_)); }

Text Generator::fresh_text(std::uint32_t tokens) noexcept { return {.id = rng_.next(), .tokens = tokens}; }

std::uint64_t Generator::take_request() noexcept {
  --left_;
  return ++requests_;
}

SimRequest single_request(SimRequest who, Duration arrival, BlockChain prompt, Text answer, Generator& generator) {
  who.id = generator.take_request();
  who.arrival = arrival;
  who.prompt_tokens = static_cast<std::uint32_t>(prompt.tokens());
  who.output_tokens = answer.tokens;
  prompt.append(answer);
  who.blocks = prompt.blocks();
  return who;
}

}  // namespace llmd::simulation
