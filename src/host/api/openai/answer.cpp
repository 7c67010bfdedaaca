#include "api/openai/answer.h"

#include "api/openai/json_writer.h"

namespace llmd::openai {

void append_usage(std::string& out, const Usage& usage) {
  JsonWriter json{out};
  json.begin_object();
  json.key("prompt_tokens").integer(usage.prompt_tokens);
  json.key("completion_tokens").integer(usage.completion_tokens);
  json.key("total_tokens").integer(std::int64_t{usage.prompt_tokens} + usage.completion_tokens);
  json.key("prompt_tokens_details").begin_object().key("cached_tokens").integer(usage.cached_tokens).end_object();
  json.end_object();
}

void append_event(std::string& out, std::string_view json) {
  out += "data: ";
  out += json;
  out += "\n\n";
}

std::string answer_id(std::string_view prefix, std::string_view request_id) {
  std::string id{prefix};
  id += request_id;
  return id;
}

}  // namespace llmd::openai
