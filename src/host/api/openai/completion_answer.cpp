#include "api/openai/completion_answer.h"

#include "api/openai/json_writer.h"

namespace llmd::openai {
namespace {

void write_optional(JsonWriter& json, const std::optional<float>& value) {
  if (value) {
    json.number(*value);
  } else {
    json.null();
  }
}

/// The alternatives of one position by their text. Two tokens may have one text: the better one, which comes first,
/// stays.
void write_alternatives(JsonWriter& json, const CompletionLogprobs::Entry& entry) {
  if (!entry.logprob) {
    json.null();
    return;
  }
  json.begin_object();
  for (std::size_t i = 0; i < entry.top.size(); ++i) {
    bool seen = false;
    for (std::size_t j = 0; j < i && !seen; ++j) seen = entry.top[j].text == entry.top[i].text;
    if (!seen) json.escaped_key(entry.top[i].text).number(entry.top[i].logprob);
  }
  json.end_object();
}

void write_logprobs(JsonWriter& json, const CompletionLogprobs& logprobs) {
  json.begin_object();
  json.key("tokens").begin_array();
  for (const auto& entry : logprobs.entries) json.string(entry.text);
  json.end_array().key("token_logprobs").begin_array();
  for (const auto& entry : logprobs.entries) write_optional(json, entry.logprob);
  json.end_array().key("top_logprobs").begin_array();
  for (const auto& entry : logprobs.entries) write_alternatives(json, entry);
  json.end_array().key("text_offset").begin_array();
  for (const auto& entry : logprobs.entries) json.integer(static_cast<std::int64_t>(entry.text_offset));
  json.end_array().end_object();
}

void write_choice(JsonWriter& json, const CompletionChoice& choice) {
  json.begin_object().key("index").integer(choice.index);
  json.key("text").string(choice.text);
  json.key("logprobs");
  if (choice.logprobs) {
    write_logprobs(json, *choice.logprobs);
  } else {
    json.null();
  }
  json.key("finish_reason");
  if (choice.finish_reason.empty()) {
    json.null();
  } else {
    json.string(choice.finish_reason);
  }
  if (choice.stop_reason) json.key("stop_reason").string(*choice.stop_reason);
  json.end_object();
}

void write_head(JsonWriter& json, const AnswerHead& head) {
  json.begin_object();
  json.key("id").string(head.id);
  json.key("object").string("text_completion");
  json.key("created").integer(head.created);
  json.key("model").string(head.model);
  json.key("choices").begin_array();
}

}  // namespace

void append_completion(std::string& out, const AnswerHead& head, std::span<const CompletionChoice> choices,
                       const Usage& usage, const KvTransferParams* kv_transfer) {
  JsonWriter json{out};
  write_head(json, head);
  for (const CompletionChoice& choice : choices) write_choice(json, choice);
  json.end_array();
  std::string usage_json;
  append_usage(usage_json, usage);
  json.key("usage").raw(usage_json);
  if (kv_transfer != nullptr) {
    std::string params_json;
    append_kv_transfer_params(params_json, *kv_transfer);
    json.key("kv_transfer_params").raw(params_json);
  }
  json.end_object();
}

CompletionStreamWriter::CompletionStreamWriter(const AnswerHead& head, bool include_usage)
    : include_usage_{include_usage} {
  head_ = "data: ";
  JsonWriter json{head_};
  write_head(json, head);
}

void CompletionStreamWriter::append_chunk(std::string& out, const CompletionChoice& choice) const {
  out += head_;
  JsonWriter json{out};
  write_choice(json, choice);
  out += include_usage_ ? "],\"usage\":null}\n\n" : "]}\n\n";
}

void CompletionStreamWriter::append_usage_chunk(std::string& out, const Usage& usage) const {
  out += head_;
  out += "],\"usage\":";
  append_usage(out, usage);
  out += "}\n\n";
}

}  // namespace llmd::openai
