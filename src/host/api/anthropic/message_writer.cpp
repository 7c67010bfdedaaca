#include "api/anthropic/message_writer.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "api/anthropic/error.h"
#include "api/openai/field.h"
#include "api/openai/json_writer.h"

namespace llmd::anthropic {
namespace {

using openai::ChatChoice;
using openai::ChatChunk;
using openai::JsonWriter;
using openai::Usage;

void append_event(std::string& out, std::string_view name, std::string_view json) {
  out.append("event: ").append(name).append("\ndata: ").append(json).append("\n\n");
}

/// Anthropic counts apart what came from a cache.
void write_usage(JsonWriter& json, const Usage& usage) {
  json.begin_object();
  json.key("input_tokens")
      .integer(std::int64_t{usage.prompt_tokens} - std::min(usage.cached_tokens, usage.prompt_tokens));
  json.key("cache_creation_input_tokens").integer(0);
  json.key("cache_read_input_tokens").integer(usage.cached_tokens);
  json.key("output_tokens").integer(usage.completion_tokens).end_object();
}

/// Static text.
std::string_view stop_reason_of(std::string_view finish_reason, bool at_sequence, bool called) {
  if (at_sequence) return "stop_sequence";
  if (finish_reason == "length") return "max_tokens";
  if (finish_reason == "content_filter") return "refusal";
  return called || finish_reason == "tool_calls" ? "tool_use" : "end_turn";
}

/// Arguments as the object that they should be; what is none (cut by max_tokens) is an empty one.
std::string input_of(std::string_view arguments) {
  const auto object = openai::parse_body(arguments);
  return object ? simdjson::minify(*object) : "{}";
}

class Writer final : public openai::ChatAnswerWriter {
 public:
  explicit Writer(MessageHead head) : head_{std::move(head)} {}

  void append_chunk(std::string& out, const ChatChunk& chunk) override {
    if (chunk.index != 0) return;
    begin(out);
    if (!chunk.reasoning.empty()) append_text(out, Kind::kThinking, chunk.reasoning);
    if (!chunk.content.empty()) append_text(out, Kind::kText, chunk.content);
    for (const auto& call : chunk.tool_calls) append_call(out, call);
    if (!chunk.finish_reason.empty()) finish_reason_ = chunk.finish_reason;
    if (!chunk.stop_reason.empty()) stop_reason_ = chunk.stop_reason;
  }

  void append_end(std::string& out, const Usage& usage) override {
    begin(out);
    close(out);
    std::string data;
    JsonWriter json{data};
    json.begin_object().key("type").string("message_delta").key("delta").begin_object();
    write_stop(json, finish_reason_, stop_reason_, !calls_.empty());
    json.end_object().key("usage");
    write_usage(json, usage);
    json.end_object();
    append_event(out, "message_delta", data);
    append_event(out, "message_stop", R"({"type":"message_stop"})");
  }

  void append_error(std::string& out, const Error& error) override { append_event(out, "error", error_json(error)); }

  void append_whole(std::string& out, std::span<const ChatChoice> choices, const Usage& usage,
                    const openai::KvTransferParams* kv_transfer) override;

 private:
  enum class Kind : std::uint8_t { kNone, kThinking, kText, kTool };

  void write_stop(JsonWriter& json, std::string_view finish_reason, std::string_view stop, bool called) const {
    const bool at_sequence = !stop.empty() && std::find(head_.stop.begin(), head_.stop.end(), stop) != head_.stop.end();
    json.key("stop_reason").string(stop_reason_of(finish_reason, at_sequence, called)).key("stop_sequence");
    if (at_sequence) {
      json.string(stop);
    } else {
      json.null();
    }
  }

  void write_head(JsonWriter& json) const {
    json.key("id").string(head_.id).key("type").string("message").key("role").string("assistant");
    json.key("model").string(head_.model);
  }

  void begin(std::string& out) {
    if (std::exchange(begun_, true)) return;
    std::string data;
    JsonWriter json{data};
    json.begin_object().key("type").string("message_start").key("message").begin_object();
    write_head(json);
    json.key("content").begin_array().end_array().key("stop_reason").null().key("stop_sequence").null().key("usage");
    write_usage(json, {.prompt_tokens = head_.prompt_tokens});
    json.end_object().end_object();
    append_event(out, "message_start", data);
    append_event(out, "ping", R"({"type":"ping"})");
  }

  /// Opens the next block; `call` for a tool's.
  void open(std::string& out, Kind kind, const ChatChunk::ToolCallDelta* call = nullptr) {
    close(out);
    kind_ = kind;
    std::string data;
    JsonWriter json{data};
    json.begin_object().key("type").string("content_block_start").key("index").integer(next_block_++);
    json.key("content_block").begin_object().key("type");
    if (call != nullptr) {
      json.string("tool_use").key("id").string(call->id).key("name").string(call->name);
      json.key("input").begin_object().end_object();
    } else if (kind == Kind::kThinking) {
      json.string("thinking").key("thinking").string("").key("signature").string("");
    } else {
      json.string("text").key("text").string("");
    }
    json.end_object().end_object();
    append_event(out, "content_block_start", data);
  }

  void close(std::string& out) {
    if (std::exchange(kind_, Kind::kNone) == Kind::kNone) return;
    std::string data;
    JsonWriter json{data};
    json.begin_object().key("type").string("content_block_stop").key("index").integer(next_block_ - 1).end_object();
    append_event(out, "content_block_stop", data);
  }

  static void append_delta(std::string& out, std::int64_t block, std::string_view type, std::string_view member,
                           std::string_view text) {
    std::string data;
    JsonWriter json{data};
    json.begin_object().key("type").string("content_block_delta").key("index").integer(block).key("delta");
    json.begin_object().key("type").string(type).key(member).string(text).end_object().end_object();
    append_event(out, "content_block_delta", data);
  }

  void append_text(std::string& out, Kind kind, std::string_view text) {
    if (kind_ != kind) open(out, kind);
    const bool thinking = kind == Kind::kThinking;
    append_delta(out, next_block_ - 1, thinking ? "thinking_delta" : "text_delta", thinking ? "thinking" : "text",
                 text);
  }

  void append_call(std::string& out, const ChatChunk::ToolCallDelta& call) {
    auto known = std::find_if(calls_.begin(), calls_.end(), [&](const Call& c) { return c.index == call.index; });
    if (known == calls_.end()) {
      open(out, Kind::kTool, &call);
      calls_.push_back({.index = call.index, .block = next_block_ - 1});
      known = calls_.end() - 1;
    }
    if (!call.arguments.empty()) append_delta(out, known->block, "input_json_delta", "partial_json", call.arguments);
  }

  struct Call {
    std::size_t index = 0;   // the chat's
    std::int64_t block = 0;  // the message's
  };
  const MessageHead head_;
  bool begun_ = false;
  Kind kind_ = Kind::kNone;      // of the block under way
  std::int64_t next_block_ = 0;  // its index plus one
  std::vector<Call> calls_;
  std::string finish_reason_;
  std::string stop_reason_;
};

void Writer::append_whole(std::string& out, std::span<const ChatChoice> choices, const Usage& usage,
                          const openai::KvTransferParams* kv_transfer) {
  const ChatChoice none;
  const ChatChoice& choice = choices.empty() ? none : choices.front();
  JsonWriter json{out};
  json.begin_object();
  write_head(json);
  // First the reason: it may be a view of what input_of() replaces.
  write_stop(json, choice.finish_reason, choice.stop_reason.value_or(""), !choice.tool_calls.empty());
  json.key("content").begin_array();
  if (!choice.reasoning.empty()) {
    json.begin_object().key("type").string("thinking").key("thinking").string(choice.reasoning);
    json.key("signature").string("").end_object();
  }
  if (!choice.content.empty())
    json.begin_object().key("type").string("text").key("text").string(choice.content).end_object();
  for (const auto& call : choice.tool_calls) {
    json.begin_object().key("type").string("tool_use").key("id").string(call.id).key("name").string(call.name);
    json.key("input").raw(input_of(call.arguments)).end_object();
  }
  json.end_array().key("usage");
  write_usage(json, usage);
  if (kv_transfer != nullptr) {
    std::string params;
    openai::append_kv_transfer_params(params, *kv_transfer);
    json.key("kv_transfer_params").raw(params);
  }
  json.end_object();
}

}  // namespace

std::unique_ptr<openai::ChatAnswerWriter> make_message_writer(MessageHead head) {
  return std::make_unique<Writer>(std::move(head));
}

void append_token_count(std::string& out, std::uint32_t tokens) {
  JsonWriter json{out};
  json.begin_object().key("input_tokens").integer(tokens).end_object();
}

}  // namespace llmd::anthropic
