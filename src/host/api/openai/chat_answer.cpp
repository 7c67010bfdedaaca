#include "api/openai/chat_answer.h"

#include "api/openai/json_writer.h"

namespace llmd::openai {
namespace {

void write_token(JsonWriter& json, const TokenLogprob& token) {
  json.key("token").string(token.text);
  json.key("logprob").number(token.logprob);
  json.key("bytes").begin_array();
  for (const char byte : token.text) json.integer(static_cast<unsigned char>(byte));
  json.end_array();
}

void write_logprobs(JsonWriter& json, std::span<const TokenLogprobs> logprobs) {
  json.begin_object().key("content").begin_array();
  for (const TokenLogprobs& entry : logprobs) {
    json.begin_object();
    write_token(json, entry.chosen);
    json.key("top_logprobs").begin_array();
    for (const TokenLogprob& alternative : entry.top) {
      json.begin_object();
      write_token(json, alternative);
      json.end_object();
    }
    json.end_array().end_object();
  }
  json.end_array().key("refusal").null().end_object();
}

void write_head(JsonWriter& json, const AnswerHead& head, std::string_view object) {
  json.begin_object();
  json.key("id").string(head.id);
  json.key("object").string(object);
  json.key("created").integer(head.created);
  json.key("model").string(head.model);
}

void write_message(JsonWriter& json, const ChatChoice& choice) {
  json.begin_object().key("role").string("assistant");
  json.key("content");
  if (choice.content.empty() && !choice.tool_calls.empty()) {
    json.null();
  } else {
    json.string(choice.content);
  }
  json.key("refusal").null();
  if (!choice.reasoning.empty()) json.key("reasoning_content").string(choice.reasoning);
  if (!choice.tool_calls.empty()) {
    json.key("tool_calls").begin_array();
    for (const ToolCallAnswer& call : choice.tool_calls) {
      json.begin_object().key("id").string(call.id).key("type").string("function");
      json.key("function").begin_object().key("name").string(call.name).key("arguments").string(call.arguments);
      json.end_object().end_object();
    }
    json.end_array();
  }
  json.end_object();
}

void write_choice(JsonWriter& json, std::uint32_t index, const ChatChoice& choice) {
  json.begin_object().key("index").integer(index);
  json.key("message");
  write_message(json, choice);
  json.key("logprobs");
  if (choice.logprobs) {
    write_logprobs(json, *choice.logprobs);
  } else {
    json.null();
  }
  json.key("finish_reason").string(choice.finish_reason);
  if (choice.stop_reason) json.key("stop_reason").string(*choice.stop_reason);
  json.end_object();
}

void write_delta(JsonWriter& json, const ChatChunk& chunk) {
  json.begin_object();
  if (chunk.role) json.key("role").string("assistant");
  if (chunk.role && chunk.content.empty() && !chunk.tool_calls.empty()) {
    json.key("content").null();
  } else if (chunk.role || !chunk.content.empty()) {
    json.key("content").string(chunk.content);
  }
  if (!chunk.reasoning.empty()) json.key("reasoning_content").string(chunk.reasoning);
  if (!chunk.tool_calls.empty()) {
    json.key("tool_calls").begin_array();
    for (const auto& call : chunk.tool_calls) {
      json.begin_object().key("index").integer(static_cast<std::int64_t>(call.index));
      if (!call.id.empty()) json.key("id").string(call.id).key("type").string("function");
      json.key("function").begin_object();
      if (!call.name.empty()) json.key("name").string(call.name);
      json.key("arguments").string(call.arguments).end_object().end_object();
    }
    json.end_array();
  }
  json.end_object();
}

}  // namespace

void append_chat_completion(std::string& out, const AnswerHead& head, std::span<const ChatChoice> choices,
                            const Usage& usage, const KvTransferParams* kv_transfer) {
  JsonWriter json{out};
  write_head(json, head, "chat.completion");
  json.key("choices").begin_array();
  std::uint32_t index = 0;
  for (const ChatChoice& choice : choices) write_choice(json, index++, choice);
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

ChatStreamWriter::ChatStreamWriter(const AnswerHead& head, bool include_usage) : include_usage_{include_usage} {
  head_ = "data: ";
  JsonWriter json{head_};
  write_head(json, head, "chat.completion.chunk");
  json.key("choices").begin_array();
}

void ChatStreamWriter::append_chunk(std::string& out, const ChatChunk& chunk) const {
  out += head_;
  JsonWriter json{out};
  json.begin_object().key("index").integer(chunk.index);
  json.key("delta");
  write_delta(json, chunk);
  json.key("logprobs");
  if (chunk.logprobs.empty()) {
    json.null();
  } else {
    write_logprobs(json, chunk.logprobs);
  }
  json.key("finish_reason");
  if (chunk.finish_reason.empty()) {
    json.null();
  } else {
    json.string(chunk.finish_reason);
  }
  if (!chunk.stop_reason.empty()) json.key("stop_reason").string(chunk.stop_reason);
  json.end_object();
  out += include_usage_ ? "],\"usage\":null}\n\n" : "]}\n\n";
}

void ChatStreamWriter::append_usage_chunk(std::string& out, const Usage& usage) const {
  out += head_;
  out += "],\"usage\":";
  append_usage(out, usage);
  out += "}\n\n";
}

}  // namespace llmd::openai
