#include "api/openai/completion_request.h"

#include <fmt/format.h>

#include <utility>

#include "api/openai/generation_fields.h"
#include "api/openai/limits.h"
#include "api/openai/rule_table.h"
#include "api/openai/token_prompt_fields.h"

namespace llmd::openai {
namespace {

constexpr std::uint32_t kDefaultMaxTokens = 16;

using Rule = FieldRule<CompletionRequest>;
constexpr auto kRules = rule_table<CompletionRequest>({
    Rule{"echo", [](CompletionRequest& request, std::string_view field,
                    Element value) { return assign(request.echo, read_bool(field, value)); }},
    Rule{"logprobs",
         [](CompletionRequest& request, std::string_view field, Element value) {
           return assign(request.generation.sampling.top_logprobs,
                         read_integer(field, value, {.min = 0, .max = kTopLogprobsMax}));
         }},
    Rule{"prompt", [](CompletionRequest& request, std::string_view field,
                      Element value) { return assign(request.prompts, read_token_prompts(field, value)); }},
    Rule{"suffix", [](CompletionRequest& request, std::string_view field,
                      Element value) { return assign(request.suffix, read_string(field, value, kBodyBytesMax)); }},
});

}  // namespace

Result<CompletionRequest> parse_completion(std::string_view body) {
  LLMD_TRY(const Object object, parse_body(body));
  CompletionRequest request;
  GenerationReader generation{request.generation};
  generation.seen().max_tokens_min = 0;
  for (const auto entry : object) {
    if (const auto* rule = kRules.find(entry.key); rule != nullptr) {
      if (!entry.value.is_null()) LLMD_TRY_VOID(rule->read(request, entry.key, entry.value));
    } else {
      LLMD_TRY_VOID(generation.read(entry.key, entry.value));
    }
  }
  if (request.prompts.empty()) return bad_field("prompt", "missing", "a string, strings or token ids");
  LLMD_TRY_VOID(generation.finish());
  GenerationRequest& common = request.generation;
  if (!common.max_tokens) common.max_tokens = std::max(kDefaultMaxTokens, common.sampling.min_tokens);
  if (*common.max_tokens == 0 && !request.echo)
    return bad_field("max_tokens", "0", "at least 1 where echo is not true");
  if (request.echo && !request.suffix.empty()) return bad_field("suffix", "given beside echo", "one of the two");
  const std::size_t choices = request.prompts.size() * common.choices;
  if (choices > kChoicesMax) {
    return bad_field("n", fmt::format("{} for {} prompts", common.choices, request.prompts.size()),
                     fmt::format("at most {} choices in all", kChoicesMax));
  }
  return request;
}

}  // namespace llmd::openai
