#pragma once

#include <cstdint>

#include "base/mebibytes.h"
#include "llamacpp/model_facts.h"

namespace llmd::engine::testkit {

/// The shape of SmolLM2-135M: 23,040 bytes of KV a token, 180 MiB for its whole context.
inline llamacpp::ModelFacts small_model() {
  return {.weights_bytes = 98 * kMiB,
          .packed_bytes = 98 * kMiB,
          .mapped_bytes = 30 * kMiB,
          .kv_bytes_per_token = 23'040,
          .heads_max = 9,
          .vocabulary = 49'152,
          .activation_width = 1'728,
          .context_tokens = 8'192,
          .plain_kv = true};
}

}  // namespace llmd::engine::testkit
