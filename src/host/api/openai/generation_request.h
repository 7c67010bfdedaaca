#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/openai/kv_transfer_params.h"
#include "model/generation.h"

namespace llmd::openai {

/// What the answer's text must obey, as the client gave it. At most one of the members is set.
struct OutputConstraint {
  std::string json_schema;  // JSON text; "{}" means any JSON object
  std::string grammar;      // GBNF
  [[nodiscard]] bool empty() const noexcept { return json_schema.empty() && grammar.empty(); }
};

/// What chat and text completions share. Every member is in range once parsed; token ids are not checked against a
/// vocabulary. `sampling.grammar` stays empty: the chat template or the worker fills it from `constraint`.
struct GenerationRequest {
  std::string model;  // empty: the server's first model
  SamplingParams sampling;
  std::optional<std::uint32_t> max_tokens;
  std::vector<std::string> stop;
  std::uint32_t choices = 1;  // n
  bool stream = false;
  bool include_usage = false;  // stream_options.include_usage
  OutputConstraint constraint;
  std::int32_t priority = 0;  // higher first: the negated field, which has vLLM's meaning (lower is earlier)
  std::string cache_salt;
  std::string user;
  std::optional<KvTransferParams> kv_transfer;
  std::string prompt_tokens;  // as it came, see prompt_tokens.h; counts on trusted listeners only
};

}  // namespace llmd::openai
