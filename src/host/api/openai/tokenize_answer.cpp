#include "api/openai/tokenize_answer.h"

#include "api/openai/json_writer.h"

namespace llmd::openai {

void append_tokenized(std::string& out, const TokenizeAnswer& answer) {
  JsonWriter json{out};
  json.begin_object().key("count").integer(static_cast<std::int64_t>(answer.tokens.size()));
  json.key("max_model_len").integer(answer.context_tokens);
  json.key("tokens").begin_array();
  for (const TokenId token : answer.tokens) json.integer(token);
  json.end_array().key("token_strs");
  if (answer.with_strings) {
    json.begin_array();
    for (const std::string& text : answer.strings) json.string(text);
    json.end_array();
  } else {
    json.null();
  }
  json.end_object();
}

void append_detokenized(std::string& out, std::string_view text) {
  JsonWriter json{out};
  json.begin_object().key("prompt").string(text).end_object();
}

}  // namespace llmd::openai
