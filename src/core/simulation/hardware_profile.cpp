#include "simulation/hardware_profile.h"

namespace llmd::simulation {

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
