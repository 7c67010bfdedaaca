#include "api/openai/embedding_request.h"

#include "api/openai/limits.h"
#include "api/openai/rule_table.h"
#include "api/openai/token_prompt_fields.h"

namespace llmd::openai {
namespace {

using Rule = FieldRule<EmbeddingRequest>;
constexpr auto kRules = rule_table<EmbeddingRequest>({
    Rule{"dimensions",
         [](EmbeddingRequest& request, std::string_view field, Element value) {
           return assign(request.dimensions, read_integer(field, value, {.min = 1, .max = 1'000'000}));
         }},
    Rule{"encoding_format",
         [](EmbeddingRequest& request, std::string_view field, Element value) -> Result<void> {
           LLMD_TRY(const std::string_view format, read_string(field, value, kNameBytesMax));
           if (format != "float" && format != "base64")
             return bad_field(field, quote(format), "\"float\" or \"base64\"");
           request.base64 = format == "base64";
           return {};
         }},
    Rule{"input",
         [](EmbeddingRequest& request, std::string_view field, Element value) -> Result<void> {
           LLMD_TRY(request.inputs, read_token_prompts(field, value));
           for (const TokenPrompt& input : request.inputs) {
             const auto* text = std::get_if<std::string>(&input);
             if (text != nullptr && text->empty()) return bad_field(field, "an empty string", "text");
           }
           return {};
         }},
    Rule{"model", [](EmbeddingRequest& request, std::string_view field,
                     Element value) { return assign(request.model, read_string(field, value, kNameBytesMax)); }},
    Rule{"user", [](EmbeddingRequest& request, std::string_view field,
                    Element value) { return assign(request.user, read_string(field, value, kNameBytesMax)); }},
});

}  // namespace

Result<EmbeddingRequest> parse_embedding(std::string_view body) {
  LLMD_TRY(const Object object, parse_body(body));
  EmbeddingRequest request;
  for (const auto entry : object) {
    const auto* rule = kRules.find(entry.key);
    if (rule != nullptr && !entry.value.is_null()) LLMD_TRY_VOID(rule->read(request, entry.key, entry.value));
  }
  if (request.inputs.empty()) return bad_field("input", "missing", "a string, strings or token ids");
  return request;
}

}  // namespace llmd::openai
