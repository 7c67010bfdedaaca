#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai/chat_request.h"
#include "api/openai/completion_request.h"
#include "api/openai/prompt_tokens.h"
#include "api/openai/token_prompt.h"
#include "base/error.h"
#include "base/ids.h"
#include "tokenizer/tokenizer.h"

/// From a parsed request to tokens, alike in the gateway and in a worker. Pure and thread-safe, and the part of a
/// request that can take long: run it on an Offload pool when the request is not small.
namespace llmd {

/// What preparing needs of the model. Shared, immutable.
struct PromptContext {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::uint32_t context_tokens = 0;
  std::size_t token_bytes_max = 1;  // the longest token: text longer than this times the context cannot fit
  std::uint64_t vocabulary = 0;     // two contexts with the same number cut text alike
};
[[nodiscard]] PromptContext make_prompt_context(std::shared_ptr<const Tokenizer> tokenizer,
                                                std::uint32_t context_tokens);

/// What is known of a request's prompts, or not wanted of them.
struct PrepareOptions {
  /// Tokens made elsewhere. They are taken where they belong to the very text that would be tokenised here, by the same
  /// vocabulary; else they do not count, so that wrong ones cost time and never change an answer.
  std::span<const openai::PromptTokens> known{};
  bool prompt_only = false;  // no grammar is made
};

struct PreparedChat {
  llamacpp::RenderedChat rendered;
  std::vector<TokenId> tokens;
  std::uint64_t text_hash = 0;  // of the rendered prompt, see PromptTokens
  bool tokens_were_known = false;
};

/// Renders the template and tokenises. Errors: kInvalidRequest (the template refuses the messages), kInvalidGrammar,
/// kContextLengthExceeded (before tokenising, if the text alone shows it).
[[nodiscard]] Result<PreparedChat> prepare_chat(const PromptContext& context, const openai::ChatPrompt& prompt,
                                                const openai::OutputConstraint& constraint,
                                                const PrepareOptions& options = {});

struct PreparedPrompts {
  std::vector<std::vector<TokenId>> tokens;  // one list a prompt
  std::size_t known = 0;                     // of the texts, those that were not tokenised here
};
/// Tokenises each prompt that is text. Errors: kInvalidRequest (an id that the vocabulary lacks), kUnsupported
/// (suffix), kContextLengthExceeded.
[[nodiscard]] Result<PreparedPrompts> prepare_prompts(const PromptContext& context,
                                                      const std::vector<openai::TokenPrompt>& prompts,
                                                      const std::string& suffix, std::string_view field,
                                                      const PrepareOptions& options = {});

/// Names the text of a completion's prompt as tokenising sees it, see PromptTokens.
[[nodiscard]] std::uint64_t text_hash(const PromptContext& context, const std::string& text, const std::string& suffix);

/// The grammar of a constraint for a text completion. Error kInvalidGrammar.
[[nodiscard]] Result<std::string> prepare_grammar(const openai::OutputConstraint& constraint);

/// Error kInvalidRequest if a biased token is not in the vocabulary.
[[nodiscard]] Result<void> check_logit_bias(const Tokenizer& tokenizer, const SamplingParams& sampling);

}  // namespace llmd
