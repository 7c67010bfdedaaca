#include "apps/worker/sequences.h"

#include <utility>

namespace llmd::worker {

SequenceRequest make_sequence(const openai::GenerationRequest& request, const std::string& request_id,
                              std::vector<TokenId> prompt, std::size_t choice) {
  SequenceRequest sequence{.request_id = request_id,
                           .prompt = std::move(prompt),
                           .max_tokens = request.max_tokens.value_or(0),
                           .sampling = request.sampling,
                           .stop = request.stop,
                           .priority = request.priority,
                           .cache_salt = request.cache_salt};
  if (sequence.sampling.seed) *sequence.sampling.seed += choice;
  return sequence;
}

}  // namespace llmd::worker
