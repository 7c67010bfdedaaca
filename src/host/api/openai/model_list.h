#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace llmd::openai {

/// The name under which every server of ours also knows its first model.
inline constexpr std::string_view kDefaultModelAlias = "default";

struct ModelCard {
  std::string id;
  std::int64_t created = 0;
  std::uint32_t context_tokens = 0;  // `max_model_len`, as vLLM's; 0: left out
  std::string block_fingerprint{};   // `llmd_block_fingerprint`, hexadecimal: what the blocks of a worker of ours are
                                     // named by beside their tokens; empty: left out
  std::string owner = "llmd";        // `owned_by`
};

/// Appends one `model` object, or the `list` of GET /v1/models.
void append_model(std::string& out, const ModelCard& card);
void append_model_list(std::string& out, std::span<const ModelCard> cards);

}  // namespace llmd::openai
