#include "api/openai/tokenize_request.h"

#include <utility>

#include "api/openai/chat_fields.h"
#include "api/openai/limits.h"
#include "api/openai/rule_table.h"
#include "api/openai/token_prompt_fields.h"

namespace llmd::openai {
namespace {

struct TokenizeFields {
  TokenizeRequest request;
  bool has_prompt = false;
};

using Rule = FieldRule<TokenizeFields>;
constexpr auto kRules = rule_table<TokenizeFields>({
    Rule{"add_special_tokens",
         [](TokenizeFields& fields, std::string_view field, Element value) {
           return assign(fields.request.add_special_tokens, read_bool(field, value));
         }},
    Rule{"model", [](TokenizeFields& fields, std::string_view field,
                     Element value) { return assign(fields.request.model, read_string(field, value, kNameBytesMax)); }},
    Rule{"prompt",
         [](TokenizeFields& fields, std::string_view field, Element value) {
           fields.has_prompt = true;
           return assign(fields.request.text, read_string(field, value, kBodyBytesMax));
         }},
    Rule{"return_token_strs",
         [](TokenizeFields& fields, std::string_view field, Element value) {
           return assign(fields.request.return_token_strs, read_bool(field, value));
         }},
});

}  // namespace

Result<TokenizeRequest> parse_tokenize(std::string_view body) {
  LLMD_TRY(const Object object, parse_body(body));
  TokenizeFields fields;
  ChatPromptReader chat;
  bool has_messages = false;
  for (const auto entry : object) {
    if (entry.value.is_null()) continue;
    has_messages = has_messages || entry.key == "messages";
    if (const auto* rule = kRules.find(entry.key); rule != nullptr) {
      LLMD_TRY_VOID(rule->read(fields, entry.key, entry.value));
    } else {
      LLMD_TRY(const bool taken, chat.read(entry.key, entry.value));
      static_cast<void>(taken);
    }
  }
  if (fields.has_prompt == has_messages) {
    return bad_field("prompt", has_messages ? "given beside messages" : "missing", "either prompt or messages");
  }
  if (has_messages) {
    LLMD_TRY(fields.request.chat, chat.finish());
  }
  return std::move(fields.request);
}

Result<DetokenizeRequest> parse_detokenize(std::string_view body) {
  LLMD_TRY(const Object object, parse_body(body));
  DetokenizeRequest request;
  bool has_tokens = false;
  for (const auto entry : object) {
    if (entry.value.is_null()) continue;
    if (entry.key == "model") {
      LLMD_TRY_VOID(assign(request.model, read_string("model", entry.value, kNameBytesMax)));
    } else if (entry.key == "tokens") {
      LLMD_TRY(const Array ids, read_array("tokens", entry.value));
      LLMD_TRY(request.tokens, read_token_ids("tokens", ids));
      has_tokens = true;
    }
  }
  if (!has_tokens) return bad_field("tokens", "missing", "an array of token ids");
  return request;
}

}  // namespace llmd::openai
