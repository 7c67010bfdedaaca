#include "simulation/hardware_profile.h"

#include <algorithm>

namespace llmd::simulation {

std::uint32_t HardwareProfile::output_tokens_of(std::uint32_t prompt_tokens,
                                                std::uint32_t output_tokens) const noexcept {
  const std::uint32_t longest = batching.classes.back().tokens_max;
  const std::uint32_t room = longest - std::min(longest, prompt_tokens);
  return std::min(std::max(1U, output_tokens), room);
}

std::uint32_t HardwareProfile::slots_for(std::uint32_t tokens) const noexcept {
  std::uint32_t slots = 0;
  for (const batching::SlotClass& each : batching.classes) slots += each.tokens_max >= tokens ? each.slots : 0;
  return slots;
}

double HardwareProfile::busy_seconds(std::uint32_t prompt_tokens, std::uint32_t output_tokens,
                                     double sequences) const noexcept {
  const double prompt = prompt_tokens;
  const double output = output_tokens;
  // A prompt token sees half of the prompt before it on average, an output token the prompt and half of the output.
  const double prefill = prompt * (prefill_token_s + prefill_token_per_kilotoken_s * prompt / 2'000);
  const double context = (prompt + output / 2) / 1'000;
  const double decode = output * (step_s / sequences + decode_sequence_s + decode_sequence_per_kilotoken_s * context);
  return prefill + decode;
}

}  // namespace llmd::simulation
