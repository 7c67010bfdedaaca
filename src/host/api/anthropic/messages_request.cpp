#include "api/anthropic/messages_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "api/anthropic/message_blocks.h"
#include "api/conversion/chat_message_list.h"
#include "api/conversion/tool_list.h"
#include "api/openai/json_writer.h"
#include "api/openai/limits.h"
#include "api/openai/rule_table.h"

namespace llmd::anthropic {
namespace {

using openai::Array;
using openai::bad_field;
using openai::Element;
using openai::JsonWriter;
using openai::Object;
using openai::quote;

/// The chat request while it is put together.
struct Draft {
  explicit Draft(const api::ConversionOptions& how) : options{how} {}
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  const api::ConversionOptions options;
  api::ConvertedRequest request;
  std::string members;  // of the chat request but the messages
  JsonWriter json{members};
  std::string system;
  api::ChatMessageList messages;
  std::string tools;
  std::string tool_name;   // that must be called
  bool must_call = false;  // some tool
  bool has_messages = false;
  bool has_max_tokens = false;
  bool has_template_kwargs = false;
  std::string_view thinking{};   // "true", "false" or not said
  std::string_view format_by{};  // the field that constrained the output
};

Result<void> pass_on(Draft& draft, std::string_view field, Element value) {
  draft.json.key(field).raw(openai::to_json(value));
  return {};
}

template <openai::NumberRange range>
Result<void> number(Draft& draft, std::string_view field, Element value) {
  LLMD_TRY(const float checked, openai::read_number(field, value, range));
  static_cast<void>(checked);
  return pass_on(draft, field, value);
}

Result<void> read_max_tokens(Draft& draft, std::string_view field, Element value) {
  LLMD_TRY(const std::int64_t count, openai::read_integer(field, value, {.min = 1, .max = openai::kOutputTokensMax}));
  draft.json.key("max_tokens").integer(count);
  draft.has_max_tokens = true;
  return {};
}

Result<void> read_messages(Draft& draft, std::string_view field, Element value) {
  LLMD_TRY(const Array list, openai::read_array(field, value));
  const std::size_t count = list.size();
  if (count == 0) return bad_field(field, "empty", "at least one message");
  // A message of results becomes one message a result: the chat request bounds those again.
  if (count > openai::kMessagesMax) {
    return bad_field(field, fmt::format("an array of {}", count),
                     fmt::format("at most {} messages", openai::kMessagesMax));
  }
  draft.messages = {};
  std::size_t index = 0;
  for (const Element entry : list) {
    LLMD_TRY_VOID(convert_message(fmt::format("{}[{}]", field, index++), entry, {.text_only = draft.options.text_only},
                                  draft.messages));
  }
  draft.has_messages = true;
  return {};
}

/// Only who sent it knows what it means; a long one is no name of a user, and not needed for the answer.
Result<void> read_metadata(Draft& draft, std::string_view field, Element value) {
  LLMD_TRY(const Object object, openai::read_object(field, value));
  Element user;
  if (object.at_key("user_id").get(user) != simdjson::SUCCESS || user.is_null()) return {};
  LLMD_TRY(const std::string_view id,
           openai::read_string(fmt::format("{}.user_id", field), user, openai::kBodyBytesMax));
  if (id.size() <= openai::kNameBytesMax) draft.json.key("user").string(id);
  return {};
}

Result<void> read_model(Draft& draft, std::string_view field, Element value) {
  LLMD_TRY(const std::string_view model, openai::read_string(field, value, openai::kNameBytesMax));
  draft.request.model = model;
  draft.json.key("model").string(model);
  return {};
}

/// {"type":"json_schema","schema":{...}}
Result<void> read_format(Draft& draft, const std::string& field, Element value) {
  LLMD_TRY(const Object object, openai::read_object(field, value));
  std::string_view type;
  if (object.at_key("type").get(type) != simdjson::SUCCESS)
    return bad_field(field + ".type", "missing or no string", "\"json_schema\"");
  if (type != "json_schema") return bad_field(field + ".type", quote(type), "\"json_schema\"");
  Element schema;
  if (object.at_key("schema").get(schema) != simdjson::SUCCESS)
    return bad_field(field + ".schema", "missing", "a JSON schema");
  LLMD_TRY(const Object checked, openai::read_object(field + ".schema", schema));
  static_cast<void>(checked);
  if (!draft.format_by.empty()) return bad_field(field, "given twice", "output_config.format alone");
  draft.format_by = "output_config";
  draft.json.key("response_format").begin_object().key("type").string("json_schema").key("json_schema");
  draft.json.begin_object().key("name").string("answer").key("schema").raw(openai::to_json(schema));
  draft.json.end_object().end_object();
  return {};
}

/// In the words that chat requests have for it.
Result<void> read_effort(Draft& draft, Object output_config) {
  constexpr std::string_view kField = "output_config.effort";
  constexpr std::array<std::string_view, 5> kEfforts{"low", "medium", "high", "xhigh", "max"};
  Element value;
  if (output_config.at_key("effort").get(value) != simdjson::SUCCESS || value.is_null()) return {};
  LLMD_TRY(std::string_view effort, openai::read_string(kField, value, openai::kNameBytesMax));
  if (std::find(kEfforts.begin(), kEfforts.end(), effort) == kEfforts.end())
    return bad_field(kField, quote(effort), "low, medium, high, xhigh or max");
  if (effort == "xhigh" || effort == "max") effort = "high";
  draft.json.key("reasoning_effort").string(effort);
  return {};
}

Result<void> read_output_config(Draft& draft, std::string_view field, Element value) {
  LLMD_TRY(const Object object, openai::read_object(field, value));
  LLMD_TRY_VOID(read_effort(draft, object));
  Element format;
  if (object.at_key("format").get(format) != simdjson::SUCCESS || format.is_null()) return {};
  return read_format(draft, fmt::format("{}.format", field), format);
}

Result<void> read_stop_sequences(Draft& draft, std::string_view field, Element value) {
  LLMD_TRY(const Array list, openai::read_array(field, value));
  const std::size_t count = list.size();
  if (count > openai::kStopStringsMax) {
    return bad_field(field, fmt::format("an array of {} strings", count),
                     fmt::format("at most {} strings", openai::kStopStringsMax));
  }
  auto& stop = draft.request.stop;
  stop.clear();
  for (const Element entry : list) {
    const std::string at = fmt::format("{}[{}]", field, stop.size());
    LLMD_TRY(const std::string_view text, openai::read_string(at, entry, openai::kStopBytesMax));
    if (text.empty()) return bad_field(at, "empty", "a string with text");
    stop.emplace_back(text);
  }
  if (!stop.empty()) draft.json.key("stop").raw(openai::to_json(value));
  return {};
}

Result<void> read_stream(Draft& draft, std::string_view field, Element value) {
  return openai::assign(draft.request.stream, openai::read_bool(field, value));
}

Result<void> read_system(Draft& draft, std::string_view field, Element value) {
  return openai::assign(draft.system, system_text(field, value));
}

Result<void> read_template_kwargs(Draft& draft, std::string_view field, Element value) {
  draft.has_template_kwargs = true;
  return pass_on(draft, field, value);
}

/// Whether models that can do both shall think first; how long is theirs to say.
Result<void> read_thinking(Draft& draft, std::string_view field, Element value) {
  constexpr std::string_view kExpected = "enabled, adaptive, between_tools or disabled";
  LLMD_TRY(const Object object, openai::read_object(field, value));
  const std::string type_field = fmt::format("{}.type", field);
  std::string_view type;
  if (object.at_key("type").get(type) != simdjson::SUCCESS)
    return bad_field(type_field, "missing or no string", kExpected);
  constexpr std::array<std::string_view, 4> kTypes{"enabled", "adaptive", "between_tools", "disabled"};
  if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end())
    return bad_field(type_field, quote(type), kExpected);
  Element budget;
  if (object.at_key("budget_tokens").get(budget) == simdjson::SUCCESS && !budget.is_null()) {
    LLMD_TRY(const std::int64_t tokens, openai::read_integer(fmt::format("{}.budget_tokens", field), budget,
                                                             {.min = 1, .max = openai::kOutputTokensMax}));
    static_cast<void>(tokens);
  }
  draft.thinking = type == "disabled" ? "false" : "true";
  return {};
}

Result<void> read_tools(Draft& draft, std::string_view field, Element value) {
  constexpr api::ToolShape kShape{
      .type = "custom", .parameters = "input_schema", .type_optional = true, .schema_required = true};
  return openai::assign(draft.tools, api::convert_tools(field, value, kShape));
}

Result<void> read_tool_choice(Draft& draft, std::string_view field, Element value) {
  constexpr std::string_view kExpected = "auto, any, tool or none";
  LLMD_TRY(const Object object, openai::read_object(field, value));
  const std::string type_field = fmt::format("{}.type", field);
  std::string_view type;
  if (object.at_key("type").get(type) != simdjson::SUCCESS)
    return bad_field(type_field, "missing or no string", kExpected);
  draft.json.key("tool_choice");
  if (type == "auto" || type == "none") {
    draft.json.string(type);
  } else if (type == "any") {
    draft.json.string("required");
    draft.must_call = true;
  } else if (type == "tool") {
    std::string_view name;
    if (object.at_key("name").get(name) != simdjson::SUCCESS)
      return bad_field(fmt::format("{}.name", field), "missing or no string", "the name of one of the tools");
    draft.tool_name = name;
    draft.must_call = true;
    draft.json.begin_object().key("type").string("function").key("function");
    draft.json.begin_object().key("name").string(name).end_object().end_object();
  } else {
    return bad_field(type_field, quote(type), kExpected);
  }
  Element one;
  if (object.at_key("disable_parallel_tool_use").get(one) == simdjson::SUCCESS && !one.is_null()) {
    LLMD_TRY(const bool disabled, openai::read_bool(fmt::format("{}.disable_parallel_tool_use", field), one));
    draft.json.key("parallel_tool_calls").boolean(!disabled);
  }
  return {};
}

Result<void> read_top_k(Draft& draft, std::string_view field, Element value) {
  LLMD_TRY(const std::int64_t top_k, openai::read_integer(field, value, {.min = -1, .max = 1'000'000}));
  draft.json.key(field).integer(top_k);
  return {};
}

Result<void> refuse_servers(Draft& /*draft*/, std::string_view field, Element value) {
  Array list;
  if (value.get(list) == simdjson::SUCCESS && list.size() == 0) return {};
  return openai::unsupported_field(field, fmt::format("{} is not supported; this server runs no tools itself", field),
                                   "send tools");
}

constexpr openai::NumberRange kTemperature{.min = 0, .max = 2};
constexpr openai::NumberRange kTopP{.min = 0, .max = 1, .min_excluded = true};

using Rule = openai::FieldRule<Draft>;
constexpr auto kRules = openai::rule_table<Draft>({
    Rule{"cache_salt", pass_on},
    Rule{"chat_template_kwargs", read_template_kwargs},
    Rule{"ignore_eos", pass_on},
    Rule{"kv_transfer_params", pass_on},
    Rule{"llmd_prompt_tokens", pass_on},
    Rule{"max_tokens", read_max_tokens},
    Rule{"mcp_servers", refuse_servers},
    Rule{"messages", read_messages},
    Rule{"metadata", read_metadata},
    Rule{"min_p", pass_on},
    Rule{"min_tokens", pass_on},
    Rule{"model", read_model},
    Rule{"output_config", read_output_config},
    Rule{"output_format", [](Draft& draft, std::string_view field,
                             Element value) { return read_format(draft, std::string{field}, value); }},
    Rule{"priority", pass_on},
    Rule{"repetition_penalty", pass_on},
    Rule{"seed", pass_on},
    Rule{"stop_sequences", read_stop_sequences},
    Rule{"stream", read_stream},
    Rule{"system", read_system},
    Rule{"temperature", number<kTemperature>},
    Rule{"thinking", read_thinking},
    Rule{"tool_choice", read_tool_choice},
    Rule{"tools", read_tools},
    Rule{"top_k", read_top_k},
    Rule{"top_p", number<kTopP>},
});

Result<void> check(const Draft& draft) {
  if (!draft.has_messages) return bad_field("messages", "missing", "an array of messages");
  if (draft.messages.size() == 0) return bad_field("messages", "without content", "a message with some");
  if (!draft.has_max_tokens && !draft.options.counts_tokens) {
    return bad_field("max_tokens", "missing", fmt::format("an integer from 1 to {}", openai::kOutputTokensMax));
  }
  if (draft.must_call && draft.tools.empty())
    return bad_field("tool_choice", "given without tools", "tools with at least one entry");
  const std::string named = fmt::format(R"("function":{{"name":"{}")", draft.tool_name);
  if (!draft.tool_name.empty() && draft.tools.find(named) == std::string::npos)
    return bad_field("tool_choice.name", quote(draft.tool_name), "the name of one of the tools");
  if (draft.must_call && !draft.format_by.empty())
    return bad_field("tool_choice", "a forced call beside an output format", "one of the two");
  return {};
}

}  // namespace

Result<api::ConvertedRequest> convert_messages(std::string_view body, const api::ConversionOptions& options) {
  LLMD_TRY(const Object object, openai::parse_body(body));
  Draft draft{options};
  for (const auto entry : object) {
    const auto* rule = kRules.find(entry.key);
    if (rule != nullptr && !entry.value.is_null()) LLMD_TRY_VOID(rule->read(draft, entry.key, entry.value));
  }
  LLMD_TRY_VOID(check(draft));
  if (draft.messages.ends_with_answer_begun())
    draft.json.key("continue_final_message").boolean(true).key("add_generation_prompt").boolean(false);
  if (!draft.thinking.empty() && !draft.has_template_kwargs)
    draft.json.key("chat_template_kwargs").begin_object().key("enable_thinking").raw(draft.thinking).end_object();
  if (draft.request.stream) {
    draft.json.key("stream").boolean(true);
    draft.json.key("stream_options").begin_object().key("include_usage").boolean(true).end_object();
  }
  if (!draft.tools.empty()) draft.json.key("tools").raw(draft.tools);
  draft.json.key("messages").raw(draft.messages.finish(draft.system));
  draft.request.body = fmt::format("{{{}}}", draft.members);
  return std::move(draft.request);
}

}  // namespace llmd::anthropic
