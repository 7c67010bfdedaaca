#include "api/openai/model_list.h"

#include "api/openai/json_writer.h"

namespace llmd::openai {
namespace {

void write_model(JsonWriter& json, const ModelCard& card) {
  json.begin_object().key("id").string(card.id).key("object").string("model");
  json.key("created").integer(card.created).key("owned_by").string(card.owner);
  if (card.context_tokens > 0) json.key("max_model_len").integer(card.context_tokens);
  if (!card.block_fingerprint.empty()) json.key("llmd_block_fingerprint").string(card.block_fingerprint);
  json.end_object();
}

}  // namespace

void append_model(std::string& out, const ModelCard& card) {
  JsonWriter json{out};
  write_model(json, card);
}

void append_model_list(std::string& out, std::span<const ModelCard> cards) {
  JsonWriter json{out};
  json.begin_object().key("object").string("list").key("data").begin_array();
  for (const ModelCard& card : cards) write_model(json, card);
  json.end_array().end_object();
}

}  // namespace llmd::openai
