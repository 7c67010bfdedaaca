#include "api/openai/embedding_answer.h"

#include <bit>

#include "api/openai/base64.h"
#include "api/openai/json_writer.h"

namespace llmd::openai {
namespace {

static_assert(std::endian::native == std::endian::little, "the wire has little-endian floats");

}  // namespace

void append_embeddings(std::string& out, const EmbeddingAnswer& answer) {
  JsonWriter json{out};
  json.begin_object().key("object").string("list").key("data").begin_array();
  std::int64_t index = 0;
  for (const std::vector<float>& vector : answer.vectors) {
    json.begin_object().key("object").string("embedding").key("index").integer(index++).key("embedding");
    if (answer.base64) {
      json.string(encode_base64(std::as_bytes(std::span{vector})));
    } else {
      json.begin_array();
      for (const float value : vector) json.number(value);
      json.end_array();
    }
    json.end_object();
  }
  json.end_array().key("model").string(answer.model);
  json.key("usage").begin_object().key("prompt_tokens").integer(answer.prompt_tokens);
  json.key("total_tokens").integer(answer.prompt_tokens).end_object().end_object();
}

}  // namespace llmd::openai
