#include "tokenizer/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/hash.h"

namespace llmd {
namespace {

Error too_long(std::string_view field, std::string what) {
  return Error{.code = ErrorCode::kContextLengthExceeded,
               .what = std::move(what),
               .hint = "shorten the prompt",
               .param = std::string{field}};
}

/// Tokenising text that cannot fit costs seconds; its length alone refuses it.
Result<void> check_length(const PromptContext& context, std::string_view field, std::size_t bytes) {
  const std::size_t bytes_max = context.token_bytes_max * context.context_tokens;
  if (bytes <= bytes_max) return {};
  return std::unexpected(too_long(field, fmt::format("{} has {} bytes, more than {} tokens of context can hold", field,
                                                     bytes, context.context_tokens)));
}

Result<std::vector<TokenId>> tokens_of_ids(const Tokenizer& tokenizer, const std::vector<TokenId>& ids,
                                           std::string_view field) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (tokenizer.is_valid(ids[i])) continue;
    return std::unexpected(Error{
        .code = ErrorCode::kInvalidRequest,
        .what = fmt::format("{}[{}] is {}; expected a token id from 0 to {}", field, i, ids[i], tokenizer.size() - 1),
        .param = std::string{field}});
  }
  return ids;
}

Result<std::vector<TokenId>> tokens_of_text(const PromptContext& context, const std::string& text,
                                            const std::string& suffix, std::string_view field) {
  LLMD_TRY_VOID(check_length(context, field, text.size() + suffix.size()));
  const Tokenizer& tokenizer = *context.tokenizer;
  if (suffix.empty()) return tokenizer.encode(text, {.add_special = true, .parse_special = true});
  if (!tokenizer.has_infill()) {
    return std::unexpected(Error{.code = ErrorCode::kUnsupported,
                                 .what = "this model has no fill-in-the-middle tokens, so suffix cannot be used",
                                 .hint = "leave suffix out, or take a model trained for infilling",
                                 .param = "suffix"});
  }
  return tokenizer.infill(text, suffix);
}

llamacpp::ChatRequest template_request(const openai::ChatPrompt& prompt, const openai::OutputConstraint& constraint,
                                       const PrepareOptions& options) {
  using Choice = llamacpp::ChatRequest::ToolChoice;
  llamacpp::ChatRequest request{.messages_json = prompt.messages_json,
                                .tools_json = prompt.tools_json,
                                .tool_name = prompt.tool_name,
                                .parallel_tool_calls = prompt.parallel_tool_calls,
                                .json_schema = constraint.json_schema,
                                .grammar = constraint.grammar,
                                .add_generation_prompt = prompt.add_generation_prompt,
                                .template_kwargs_json = prompt.template_kwargs_json,
                                .prompt_only = options.prompt_only};
  switch (prompt.tool_choice) {
    case openai::ToolChoice::kAuto: request.tool_choice = Choice::kAuto; break;
    case openai::ToolChoice::kNone: request.tool_choice = Choice::kNone; break;
    case openai::ToolChoice::kRequired: request.tool_choice = Choice::kRequired; break;
    case openai::ToolChoice::kFunction: request.tool_choice = Choice::kFunction; break;
  }
  return request;
}

/// The known tokens of prompt `index` if they belong to this text and every id is one of the vocabulary.
const std::vector<TokenId>* known_tokens(const PromptContext& context, const PrepareOptions& options, std::size_t index,
                                         std::uint64_t hash) {
  if (index >= options.known.size() || options.known[index].text_hash != hash) return nullptr;
  const std::vector<TokenId>& tokens = options.known[index].tokens;
  const Tokenizer& tokenizer = *context.tokenizer;
  const bool valid =
      !tokens.empty() && std::ranges::all_of(tokens, [&](TokenId token) { return tokenizer.is_valid(token); });
  return valid ? &tokens : nullptr;
}

/// All that the tokens of a text depend on.
std::uint64_t hash_of(const PromptContext& context, std::string_view text, std::string_view suffix, bool add_special) {
  return xxh64(text, xxh64(suffix, context.vocabulary + (add_special ? 1 : 0)));
}

}  // namespace

PromptContext make_prompt_context(std::shared_ptr<const Tokenizer> tokenizer, std::uint32_t context_tokens) {
  const std::size_t longest = tokenizer->token_bytes_max();
  const std::uint64_t vocabulary = tokenizer->vocabulary();
  return {.tokenizer = std::move(tokenizer),
          .context_tokens = context_tokens,
          .token_bytes_max = longest,
          .vocabulary = vocabulary};
}

std::uint64_t text_hash(const PromptContext& context, const std::string& text, const std::string& suffix) {
  return hash_of(context, text, suffix, true);
}

Result<PreparedChat> prepare_chat(const PromptContext& context, const openai::ChatPrompt& prompt,
                                  const openai::OutputConstraint& constraint, const PrepareOptions& options) {
  // Escapes can make JSON six times as long as the text, so this refuses only what is hopeless; the rendered text is
  // next.
  LLMD_TRY_VOID(check_length(context, "messages", prompt.messages_json.size() / 6));
  PreparedChat prepared;
  LLMD_TRY(prepared.rendered, context.tokenizer->render(template_request(prompt, constraint, options)));
  if (prompt.continued_text) prepared.rendered.prompt += *prompt.continued_text;
  LLMD_TRY_VOID(check_length(context, "messages", prepared.rendered.prompt.size()));
  prepared.text_hash = hash_of(context, prepared.rendered.prompt, {}, prepared.rendered.add_special);
  const std::vector<TokenId>* known = known_tokens(context, options, 0, prepared.text_hash);
  prepared.tokens_were_known = known != nullptr;
  prepared.tokens = known != nullptr ? *known : context.tokenizer->encode(prepared.rendered);
  if (prepared.tokens.empty()) {
    return std::unexpected(Error{.code = ErrorCode::kInvalidRequest,
                                 .what = "messages render to an empty prompt; expected at least one token",
                                 .param = "messages"});
  }
  return prepared;
}

Result<PreparedPrompts> prepare_prompts(const PromptContext& context, const std::vector<openai::TokenPrompt>& prompts,
                                        const std::string& suffix, std::string_view field,
                                        const PrepareOptions& options) {
  PreparedPrompts out;
  for (const openai::TokenPrompt& prompt : prompts) {
    const std::size_t index = out.tokens.size();
    const std::string place = prompts.size() == 1 ? std::string{field} : fmt::format("{}[{}]", field, index);
    if (const auto* ids = std::get_if<std::vector<TokenId>>(&prompt)) {
      LLMD_TRY(std::vector<TokenId> tokens, tokens_of_ids(*context.tokenizer, *ids, place));
      out.tokens.push_back(std::move(tokens));
    } else {
      const auto& text = std::get<std::string>(prompt);
      // What is known was made by the same checks from the same text.
      const std::vector<TokenId>* known =
          options.known.empty() ? nullptr : known_tokens(context, options, index, text_hash(context, text, suffix));
      if (known != nullptr) {
        ++out.known;
        out.tokens.push_back(*known);
      } else {
        LLMD_TRY(std::vector<TokenId> tokens, tokens_of_text(context, text, suffix, place));
        out.tokens.push_back(std::move(tokens));
      }
    }
    if (!out.tokens.back().empty()) continue;
    return std::unexpected(Error{.code = ErrorCode::kInvalidRequest,
                                 .what = fmt::format("{} has no tokens; expected at least one", place),
                                 .param = place});
  }
  return out;
}

Result<std::string> prepare_grammar(const openai::OutputConstraint& constraint) {
  if (!constraint.json_schema.empty()) return llamacpp::schema_to_gbnf(constraint.json_schema);
  if (!constraint.grammar.empty()) LLMD_TRY_VOID(llamacpp::check_gbnf(constraint.grammar));
  return constraint.grammar;
}

Result<void> check_logit_bias(const Tokenizer& tokenizer, const SamplingParams& sampling) {
  for (const auto& [token, bias] : sampling.logit_bias) {
    if (tokenizer.is_valid(token)) continue;
    return std::unexpected(Error{
        .code = ErrorCode::kInvalidRequest,
        .what = fmt::format("logit_bias names token {}; expected a token id from 0 to {}", token, tokenizer.size() - 1),
        .param = "logit_bias"});
  }
  return {};
}

}  // namespace llmd
