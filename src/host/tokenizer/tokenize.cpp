#include "tokenizer/tokenize.h"

#include <utility>
#include <vector>

#include "api/openai/tokenize_answer.h"

namespace llmd {
namespace {

Result<std::vector<TokenId>> tokens_of(const PromptContext& context, const openai::TokenizeRequest& request) {
  const Tokenizer& tokenizer = *context.tokenizer;
  if (!request.chat) {
    return tokenizer.encode(request.text,
                            {.add_special = request.add_special_tokens.value_or(true), .parse_special = true});
  }
  LLMD_TRY(PreparedChat prepared, prepare_chat(context, *request.chat, {}));
  if (!request.add_special_tokens) return std::move(prepared.tokens);
  return tokenizer.encode(prepared.rendered.prompt,
                          {.add_special = *request.add_special_tokens, .parse_special = true});
}

}  // namespace

Result<std::string> tokenize(const PromptContext& context, const openai::TokenizeRequest& request) {
  LLMD_TRY(const std::vector<TokenId> tokens, tokens_of(context, request));
  std::vector<std::string> strings;
  if (request.return_token_strs) {
    for (const TokenId token : tokens) strings.push_back(context.tokenizer->piece(token, true));
  }
  std::string json;
  openai::append_tokenized(json, {.tokens = tokens,
                                  .context_tokens = context.context_tokens,
                                  .with_strings = request.return_token_strs,
                                  .strings = strings});
  return json;
}

Result<std::string> detokenize(const PromptContext& context, const openai::DetokenizeRequest& request) {
  if (!request.tokens.empty()) {
    const std::vector<openai::TokenPrompt> prompts{request.tokens};
    LLMD_TRY_VOID(prepare_prompts(context, prompts, {}, "tokens"));
  }
  std::string json;
  openai::append_detokenized(json, context.tokenizer->decode(request.tokens, true));
  return json;
}

}  // namespace llmd
