#include "api/openai/token_prompt.h"

#include <fmt/format.h>

#include <limits>

#include "api/openai/limits.h"
#include "api/openai/token_prompt_fields.h"

namespace llmd::openai {

Result<std::vector<TokenId>> read_token_ids(std::string_view field, Array ids) {
  std::vector<TokenId> tokens;
  for (const Element id : ids) {
    if (tokens.size() == kPromptTokensMax)
      return bad_field(field, "longer", fmt::format("at most {} token ids", kPromptTokensMax));
    std::int64_t value = -1;
    if (id.get(value) != simdjson::SUCCESS || value < 0 || value > std::numeric_limits<TokenId>::max()) {
      return bad_field(fmt::format("{}[{}]", field, tokens.size()), describe(id), "a token id from 0 on");
    }
    tokens.push_back(static_cast<TokenId>(value));
  }
  return tokens;
}

Result<std::vector<TokenPrompt>> read_token_prompts(std::string_view field, Element value) {
  constexpr std::string_view kExpected =
      "a string, an array of strings, an array of token ids or an array of such arrays";
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) return std::vector<TokenPrompt>{std::string{text}};
  Array list;
  if (value.get(list) != simdjson::SUCCESS) return bad_field(field, describe(value), kExpected);
  if (list.begin() == list.end()) return bad_field(field, "an empty array", kExpected);
  if ((*list.begin()).is_number()) {
    LLMD_TRY(std::vector<TokenId> tokens, read_token_ids(field, list));
    return std::vector<TokenPrompt>{std::move(tokens)};
  }
  std::vector<TokenPrompt> prompts;
  std::size_t tokens_total = 0;
  for (const Element entry : list) {
    const std::string place = fmt::format("{}[{}]", field, prompts.size());
    if (prompts.size() == kPromptsMax)
      return bad_field(field, "longer", fmt::format("at most {} prompts", kPromptsMax));
    Array ids;
    if (entry.get(text) == simdjson::SUCCESS) {
      prompts.emplace_back(std::string{text});
    } else if (entry.get(ids) == simdjson::SUCCESS) {
      LLMD_TRY(std::vector<TokenId> tokens, read_token_ids(place, ids));
      tokens_total += tokens.size();
      if (tokens.empty()) return bad_field(place, "an empty array", "token ids");
      if (tokens_total > kPromptTokensMax)
        return bad_field(field, "longer", fmt::format("at most {} token ids", kPromptTokensMax));
      prompts.emplace_back(std::move(tokens));
    } else {
      return bad_field(place, describe(entry), "a string or an array of token ids");
    }
  }
  return prompts;
}

}  // namespace llmd::openai
