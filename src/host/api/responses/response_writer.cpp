#include "api/responses/response_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "api/openai/error.h"
#include "api/openai/json_writer.h"

namespace llmd::responses {
namespace {

using openai::ChatChoice;
using openai::ChatChunk;
using openai::JsonWriter;
using openai::Usage;

enum class Kind : std::uint8_t { kReasoning, kMessage, kCall };

/// One item of the output, as far as it has come.
struct Item {
  Kind kind{};
  std::string id;
  std::string text;  // or arguments
  std::string call_id;
  std::string name;
  std::size_t call_index = 0;  // the chat's
};

void write_usage(JsonWriter& json, const Usage& usage) {
  json.begin_object().key("input_tokens").integer(usage.prompt_tokens);
  json.key("input_tokens_details").begin_object().key("cached_tokens").integer(usage.cached_tokens).end_object();
  json.key("output_tokens").integer(usage.completion_tokens);
  // Engines do not tell how many of the tokens were thoughts.
  json.key("output_tokens_details").begin_object().key("reasoning_tokens").integer(0).end_object();
  json.key("total_tokens").integer(std::int64_t{usage.prompt_tokens} + usage.completion_tokens).end_object();
}

void write_part(JsonWriter& json, Kind kind, std::string_view text) {
  json.begin_object();
  if (kind == Kind::kReasoning) {
    json.key("type").string("reasoning_text").key("text").string(text);
  } else {
    json.key("type").string("output_text").key("text").string(text);
    json.key("annotations").begin_array().end_array().key("logprobs").begin_array().end_array();
  }
  json.end_object();
}

/// `status`: in_progress, without content, or what became of it.
void write_item(JsonWriter& json, const Item& item, std::string_view status) {
  const bool begins = status == "in_progress";
  json.begin_object().key("id").string(item.id).key("type");
  switch (item.kind) {
    case Kind::kReasoning: json.string("reasoning").key("summary").begin_array().end_array(); break;
    case Kind::kMessage: json.string("message").key("role").string("assistant"); break;
    case Kind::kCall:
      json.string("function_call").key("call_id").string(item.call_id).key("name").string(item.name);
      json.key("arguments").string(begins ? std::string_view{} : std::string_view{item.text});
      break;
  }
  if (item.kind != Kind::kCall) {
    json.key("content").begin_array();
    if (!begins) write_part(json, item.kind, item.text);
    json.end_array();
  }
  json.key("status").string(status).end_object();
}

class Writer final : public openai::ChatAnswerWriter {
 public:
  explicit Writer(ResponseHead head) : head_{std::move(head)} {}

  void append_chunk(std::string& out, const ChatChunk& chunk) override {
    if (chunk.index != 0) return;
    begin(out);
    if (!chunk.reasoning.empty()) append_text(out, Kind::kReasoning, chunk.reasoning);
    if (!chunk.content.empty()) append_text(out, Kind::kMessage, chunk.content);
    for (const auto& call : chunk.tool_calls) append_call(out, call);
    if (!chunk.finish_reason.empty()) finish_reason_ = chunk.finish_reason;
  }

  void append_end(std::string& out, const Usage& usage) override {
    begin(out);
    if (items_.empty()) open(out, Kind::kMessage);
    close(out, is_incomplete(finish_reason_) ? "incomplete" : "completed");
    append_state(out, {.status = is_incomplete(finish_reason_) ? "incomplete" : "completed", .usage = &usage});
  }

  void append_error(std::string& out, const Error& error) override {
    begin(out);
    append_state(out, {.status = "failed", .error = &error});
  }

  void append_whole(std::string& out, std::span<const ChatChoice> choices, const Usage& usage,
                    const openai::KvTransferParams* kv_transfer) override;

 private:
  /// What a Response object says of itself.
  struct State {
    std::string_view status;  // static text; the event's name behind "response.", too
    const Usage* usage = nullptr;
    const Error* error = nullptr;
    const openai::KvTransferParams* kv_transfer = nullptr;
  };

  static bool is_incomplete(std::string_view finish_reason) noexcept {
    return finish_reason == "length" || finish_reason == "content_filter";
  }

  void write_response(JsonWriter& json, const State& state) const {
    json.begin_object().key("id").string("resp_" + head_.id).key("object").string("response");
    json.key("created_at").integer(head_.created).key("status").string(state.status).key("error");
    if (state.error != nullptr) {
      // OpenAI's clients know few codes; the message has ours.
      const bool limited = state.error->code == ErrorCode::kOverloaded;
      json.begin_object().key("code").string(limited ? "rate_limit_exceeded" : "server_error");
      json.key("message").string(state.error->to_string()).end_object();
    } else {
      json.null();
    }
    json.key("incomplete_details");
    if (state.status == "incomplete") {
      const bool filtered = finish_reason_ == "content_filter";
      json.begin_object().key("reason").string(filtered ? "content_filter" : "max_output_tokens").end_object();
    } else {
      json.null();
    }
    json.key("model").string(head_.model).key("output").begin_array();
    if (state.status != "in_progress") {
      for (const Item& item : items_) {
        const bool cut = state.status != "completed" && &item == &items_.back();
        write_item(json, item, cut ? "incomplete" : "completed");
      }
    }
    json.end_array();
    if (!head_.echo.empty()) json.raw(head_.echo);
    json.key("usage");
    if (state.usage != nullptr) {
      write_usage(json, *state.usage);
    } else {
      json.null();
    }
    if (state.kv_transfer != nullptr) {
      std::string params;
      openai::append_kv_transfer_params(params, *state.kv_transfer);
      json.key("kv_transfer_params").raw(params);
    }
    json.end_object();
  }

  /// Appends one event; `write` adds its members.
  template <class Write>
  void append_event(std::string& out, std::string_view type, Write write) {
    out.append("event: ").append(type).append("\ndata: ");
    JsonWriter json{out};
    json.begin_object().key("type").string(type).key("sequence_number").integer(sequence_++);
    write(json);
    json.end_object();
    out += "\n\n";
  }

  void append_state(std::string& out, const State& state) {
    append_event(out, fmt::format("response.{}", state.status),
                 [&](JsonWriter& json) { write_response(json.key("response"), state); });
  }

  void begin(std::string& out) {
    if (std::exchange(begun_, true)) return;
    append_event(out, "response.created",
                 [&](JsonWriter& json) { write_response(json.key("response"), {.status = "in_progress"}); });
    append_state(out, {.status = "in_progress"});
  }

  [[nodiscard]] std::int64_t last() const noexcept { return static_cast<std::int64_t>(items_.size()) - 1; }

  /// The members by which an event names its item.
  void write_place(JsonWriter& json, std::int64_t index) const {
    const Item& item = items_[static_cast<std::size_t>(index)];
    json.key("item_id").string(item.id).key("output_index").integer(index);
    if (item.kind != Kind::kCall) json.key("content_index").integer(0);
  }

  Item& open(std::string& out, Kind kind, const ChatChunk::ToolCallDelta* call = nullptr) {
    close(out, "completed");
    add_item(kind, call);
    open_ = true;
    append_event(out, "response.output_item.added", [&](JsonWriter& json) {
      json.key("output_index").integer(last());
      write_item(json.key("item"), items_.back(), "in_progress");
    });
    if (kind != Kind::kCall) {
      append_event(out, "response.content_part.added", [&](JsonWriter& json) {
        write_place(json, last());
        write_part(json.key("part"), kind, {});
      });
    }
    return items_.back();
  }

  Item& add_item(Kind kind, const ChatChunk::ToolCallDelta* call = nullptr) {
    const std::string_view prefix = kind == Kind::kCall ? "fc_" : kind == Kind::kMessage ? "msg_" : "rs_";
    Item item{.kind = kind, .id = fmt::format("{}{}_{}", prefix, head_.id, items_.size())};
    if (call != nullptr) {
      item.call_id = call->id;
      item.name = call->name;
      item.call_index = call->index;
    }
    items_.push_back(std::move(item));
    return items_.back();
  }

  void close(std::string& out, std::string_view status) {
    if (!std::exchange(open_, false)) return;
    const Item& item = items_.back();
    if (item.kind == Kind::kCall) {
      append_event(out, "response.function_call_arguments.done", [&](JsonWriter& json) {
        write_place(json, last());
        json.key("name").string(item.name).key("arguments").string(item.text);
      });
    } else {
      const bool thought = item.kind == Kind::kReasoning;
      append_event(out, thought ? "response.reasoning_text.done" : "response.output_text.done", [&](JsonWriter& json) {
        write_place(json, last());
        json.key("text").string(item.text);
        if (!thought) json.key("logprobs").begin_array().end_array();
      });
      append_event(out, "response.content_part.done", [&](JsonWriter& json) {
        write_place(json, last());
        write_part(json.key("part"), item.kind, item.text);
      });
    }
    append_event(out, "response.output_item.done", [&](JsonWriter& json) {
      json.key("output_index").integer(last());
      write_item(json.key("item"), item, status);
    });
  }

  void append_text(std::string& out, Kind kind, std::string_view text) {
    if (!open_ || items_.back().kind != kind) open(out, kind);
    items_.back().text += text;
    const bool thought = kind == Kind::kReasoning;
    append_event(out, thought ? "response.reasoning_text.delta" : "response.output_text.delta", [&](JsonWriter& json) {
      write_place(json, last());
      json.key("delta").string(text);
      if (!thought) json.key("logprobs").begin_array().end_array();
    });
  }

  void append_call(std::string& out, const ChatChunk::ToolCallDelta& call) {
    auto known = std::find_if(items_.begin(), items_.end(), [&](const Item& item) {
      return item.kind == Kind::kCall && item.call_index == call.index;
    });
    if (known == items_.end()) {
      open(out, Kind::kCall, &call);
      known = items_.end() - 1;
    }
    if (call.arguments.empty()) return;
    known->text += call.arguments;
    append_event(out, "response.function_call_arguments.delta", [&](JsonWriter& json) {
      write_place(json, known - items_.begin());
      json.key("delta").string(call.arguments);
    });
  }

  const ResponseHead head_;
  bool begun_ = false;
  bool open_ = false;  // the last item
  std::int64_t sequence_ = 0;
  std::vector<Item> items_;
  std::string finish_reason_;
};

void Writer::append_whole(std::string& out, std::span<const ChatChoice> choices, const Usage& usage,
                          const openai::KvTransferParams* kv_transfer) {
  const ChatChoice none;
  const ChatChoice& choice = choices.empty() ? none : choices.front();
  finish_reason_ = choice.finish_reason;
  if (!choice.reasoning.empty()) add_item(Kind::kReasoning).text = choice.reasoning;
  if (!choice.content.empty() || choice.tool_calls.empty()) add_item(Kind::kMessage).text = choice.content;
  for (const auto& call : choice.tool_calls) {
    const ChatChunk::ToolCallDelta delta{.id = call.id, .name = call.name};
    add_item(Kind::kCall, &delta).text = call.arguments;
  }
  JsonWriter json{out};
  write_response(json, {.status = is_incomplete(finish_reason_) ? "incomplete" : "completed",
                        .usage = &usage,
                        .kv_transfer = kv_transfer});
}

}  // namespace

std::unique_ptr<openai::ChatAnswerWriter> make_response_writer(ResponseHead head) {
  return std::make_unique<Writer>(std::move(head));
}

}  // namespace llmd::responses
