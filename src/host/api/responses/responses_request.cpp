#include "api/responses/responses_request.h"

#include <fmt/format.h>

#include <array>
#include <string>
#include <utility>

#include "api/conversion/chat_message_list.h"
#include "api/conversion/tool_list.h"
#include "api/openai/body_edits.h"
#include "api/openai/json_writer.h"
#include "api/openai/limits.h"
#include "api/openai/rule_table.h"
#include "api/responses/input_items.h"

namespace llmd::responses {
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
  std::string instructions;
  api::ChatMessageList messages;
  std::string tools;
  std::string tool_name;   // that must be called
  bool must_call = false;  // some tool
  bool has_input = false;
  bool has_format = false;
  bool has_template_kwargs = false;
  bool thinks_not = false;
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

template <std::size_t bytes_max>
Result<void> string(Draft& draft, std::string_view field, Element value) {
  LLMD_TRY(const std::string_view text, openai::read_string(field, value, bytes_max));
  draft.json.key(field).string(text);
  return {};
}

std::unexpected<Error> refers_back(std::string_view field) {
  return std::unexpected(Error{.code = ErrorCode::kInvalidRequest,
                               .what = fmt::format("{} is given; nothing is kept between requests here", field),
                               .hint = "send the earlier items in input",
                               .param = std::string{field}});
}

Result<void> refuse_reference(Draft& /*draft*/, std::string_view field, Element /*value*/) {
  return refers_back(field);
}

Result<void> refuse_prompt(Draft& /*draft*/, std::string_view field, Element /*value*/) {
  return openai::unsupported_field(field, fmt::format("{} is not supported; no prompts are kept here", field),
                                   "send instructions and input");
}

Result<void> read_background(Draft& /*draft*/, std::string_view field, Element value) {
  LLMD_TRY(const bool wanted, openai::read_bool(field, value));
  if (!wanted) return {};
  return openai::unsupported_field(field, "background is true; nothing is kept for later here", "leave it out");
}

Result<void> read_input(Draft& draft, std::string_view field, Element value) {
  draft.has_input = true;
  draft.messages = {};
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) {
    draft.messages.add_text("user", text);
    return {};
  }
  Array items;
  if (value.get(items) != simdjson::SUCCESS)
    return bad_field(field, openai::describe(value), "a string or an array of items");
  const std::size_t count = items.size();
  if (count == 0) return bad_field(field, "empty", "at least one item");
  if (count > openai::kMessagesMax)
    return bad_field(field, fmt::format("an array of {}", count),
                     fmt::format("at most {} items", openai::kMessagesMax));
  std::size_t index = 0;
  for (const Element entry : items) {
    LLMD_TRY_VOID(convert_item(fmt::format("{}[{}]", field, index++), entry, {.text_only = draft.options.text_only},
                               draft.messages));
  }
  return {};
}

Result<void> read_instructions(Draft& draft, std::string_view field, Element value) {
  return openai::assign(draft.instructions, openai::read_string(field, value, openai::kBodyBytesMax));
}

Result<void> read_max_output_tokens(Draft& draft, std::string_view field, Element value) {
  LLMD_TRY(const std::int64_t count, openai::read_integer(field, value, {.min = 1, .max = openai::kOutputTokensMax}));
  draft.json.key("max_tokens").integer(count);
  return {};
}

Result<void> read_metadata(Draft& /*draft*/, std::string_view field, Element value) {
  LLMD_TRY(const Object object, openai::read_object(field, value));
  static_cast<void>(object);
  return {};
}

Result<void> read_model(Draft& draft, std::string_view field, Element value) {
  LLMD_TRY_VOID(openai::assign(draft.request.model, openai::read_string(field, value, openai::kNameBytesMax)));
  draft.json.key("model").string(draft.request.model);
  return {};
}

Result<void> read_parallel(Draft& draft, std::string_view field, Element value) {
  LLMD_TRY(const bool allowed, openai::read_bool(field, value));
  draft.json.key(field).boolean(allowed);
  return {};
}

Result<void> read_reasoning(Draft& draft, std::string_view field, Element value) {
  LLMD_TRY(const Object object, openai::read_object(field, value));
  Element value_of_effort;
  if (object.at_key("effort").get(value_of_effort) != simdjson::SUCCESS || value_of_effort.is_null()) return {};
  const std::string at = fmt::format("{}.effort", field);
  LLMD_TRY(const std::string_view effort, openai::read_string(at, value_of_effort, openai::kNameBytesMax));
  constexpr std::array<std::string_view, 6> kEfforts{"none", "minimal", "low", "medium", "high", "xhigh"};
  if (std::find(kEfforts.begin(), kEfforts.end(), effort) == kEfforts.end())
    return bad_field(at, quote(effort), "none, minimal, low, medium, high or xhigh");
  draft.thinks_not = effort == "none";
  draft.json.key("reasoning_effort").string(effort);
  return {};
}

Result<void> read_store(Draft& /*draft*/, std::string_view field, Element value) {
  LLMD_TRY(const bool wanted, openai::read_bool(field, value));
  static_cast<void>(wanted);  // the answer says false
  return {};
}

Result<void> read_stream(Draft& draft, std::string_view field, Element value) {
  return openai::assign(draft.request.stream, openai::read_bool(field, value));
}

Result<void> read_template_kwargs(Draft& draft, std::string_view field, Element value) {
  draft.has_template_kwargs = true;
  return pass_on(draft, field, value);
}

Result<void> read_format(Draft& draft, const std::string& field, Element value) {
  constexpr std::string_view kExpected = "text, json_object or json_schema";
  LLMD_TRY(const Object format, openai::read_object(field, value));
  std::string_view type;
  if (format.at_key("type").get(type) != simdjson::SUCCESS)
    return bad_field(field + ".type", "missing or no string", kExpected);
  if (type == "text") return {};
  if (type != "json_object" && type != "json_schema") return bad_field(field + ".type", quote(type), kExpected);
  draft.has_format = true;
  if (type == "json_object") {
    draft.json.key("response_format").begin_object().key("type").string(type).end_object();
    return {};
  }
  Element schema;
  if (format.at_key("schema").get(schema) != simdjson::SUCCESS)
    return bad_field(field + ".schema", "missing", "a JSON schema");
  LLMD_TRY(const Object checked, openai::read_object(field + ".schema", schema));
  static_cast<void>(checked);
  std::string_view name = "answer";
  Element given;
  if (format.at_key("name").get(given) == simdjson::SUCCESS && !given.is_null())
    LLMD_TRY_VOID(openai::assign(name, openai::read_string(field + ".name", given, openai::kNameBytesMax)));
  draft.json.key("response_format").begin_object().key("type").string(type).key("json_schema");
  draft.json.begin_object().key("name").string(name).key("schema").raw(openai::to_json(schema));
  bool strict = false;
  if (format.at_key("strict").get(strict) == simdjson::SUCCESS) draft.json.key("strict").boolean(strict);
  draft.json.end_object().end_object();
  return {};
}

Result<void> read_text(Draft& draft, std::string_view field, Element value) {
  LLMD_TRY(const Object object, openai::read_object(field, value));
  Element format;
  if (object.at_key("format").get(format) != simdjson::SUCCESS || format.is_null()) return {};
  return read_format(draft, fmt::format("{}.format", field), format);
}

Result<void> read_tools(Draft& draft, std::string_view field, Element value) {
  return openai::assign(draft.tools,
                        api::convert_tools(field, value, {.type = "function", .parameters = "parameters"}));
}

Result<void> read_tool_choice(Draft& draft, std::string_view field, Element value) {
  constexpr std::string_view kExpected = "\"auto\", \"none\", \"required\" or an object that names a function";
  std::string_view word;
  draft.json.key(field);
  if (value.get(word) == simdjson::SUCCESS) {
    if (word != "auto" && word != "none" && word != "required") return bad_field(field, quote(word), kExpected);
    draft.json.string(word);
    draft.must_call = word == "required";
    return {};
  }
  Object object;
  std::string_view type;
  std::string_view name;
  if (value.get(object) != simdjson::SUCCESS) return bad_field(field, openai::describe(value), kExpected);
  if (object.at_key("type").get(type) != simdjson::SUCCESS || type != "function" ||
      object.at_key("name").get(name) != simdjson::SUCCESS) {
    return bad_field(field, "an object without type \"function\" and name", kExpected);
  }
  draft.tool_name = name;
  draft.must_call = true;
  draft.json.begin_object().key("type").string("function").key("function");
  draft.json.begin_object().key("name").string(name).end_object().end_object();
  return {};
}

Result<void> read_top_logprobs(Draft& /*draft*/, std::string_view field, Element value) {
  LLMD_TRY(const std::int64_t count, openai::read_integer(field, value, {.min = 0, .max = openai::kTopLogprobsMax}));
  if (count == 0) return {};
  return openai::unsupported_field(field, "top_logprobs is not supported here", "ask /v1/chat/completions");
}

Result<void> read_truncation(Draft& /*draft*/, std::string_view field, Element value) {
  LLMD_TRY(const std::string_view word, openai::read_string(field, value, openai::kNameBytesMax));
  if (word == "disabled") return {};
  if (word != "auto") return bad_field(field, quote(word), "disabled");
  return openai::unsupported_field(field, "truncation is \"auto\"; nothing is cut from a prompt here",
                                   "send disabled, or leave it out");
}

/// As chat requests name it. An opaque one that is long is left out.
Result<void> read_user(Draft& draft, std::string_view field, Element value) {
  LLMD_TRY(const std::string_view user, openai::read_string(field, value, openai::kBodyBytesMax));
  if (user.size() <= openai::kNameBytesMax) draft.json.key("user").string(user);
  return {};
}

constexpr openai::NumberRange kTemperature{.min = 0, .max = 2};
constexpr openai::NumberRange kTopP{.min = 0, .max = 1, .min_excluded = true};

using Rule = openai::FieldRule<Draft>;
constexpr auto kRules = openai::rule_table<Draft>({
    Rule{"background", read_background},
    Rule{"cache_salt", pass_on},
    Rule{"chat_template_kwargs", read_template_kwargs},
    Rule{"conversation", refuse_reference},
    Rule{"frequency_penalty", pass_on},
    Rule{"ignore_eos", pass_on},
    Rule{"input", read_input},
    Rule{"instructions", read_instructions},
    Rule{"kv_transfer_params", pass_on},
    Rule{"llmd_prompt_tokens", pass_on},
    Rule{"max_output_tokens", read_max_output_tokens},
    Rule{"metadata", read_metadata},
    Rule{"min_p", pass_on},
    Rule{"min_tokens", pass_on},
    Rule{"model", read_model},
    Rule{"parallel_tool_calls", read_parallel},
    Rule{"presence_penalty", pass_on},
    Rule{"previous_response_id", refuse_reference},
    Rule{"priority", pass_on},
    Rule{"prompt", refuse_prompt},
    Rule{"reasoning", read_reasoning},
    Rule{"repetition_penalty", pass_on},
    Rule{"seed", pass_on},
    Rule{"store", read_store},
    Rule{"stream", read_stream},
    Rule{"temperature", number<kTemperature>},
    Rule{"text", read_text},
    Rule{"tool_choice", read_tool_choice},
    Rule{"tools", read_tools},
    Rule{"top_k", pass_on},
    Rule{"top_logprobs", read_top_logprobs},
    Rule{"top_p", number<kTopP>},
    Rule{"truncation", read_truncation},
    Rule{"user", read_user},
});

Result<void> check(const Draft& draft) {
  if (!draft.has_input) return bad_field("input", "missing", "a string or an array of items");
  if (draft.messages.size() == 0) return bad_field("input", "without content", "a message with some");
  if (draft.must_call && draft.tools.empty())
    return bad_field("tool_choice", "given without tools", "tools with at least one function");
  const std::string named = fmt::format(R"("function":{{"name":"{}")", draft.tool_name);
  if (!draft.tool_name.empty() && draft.tools.find(named) == std::string::npos)
    return bad_field("tool_choice.name", quote(draft.tool_name), "the name of one of the tools");
  if (draft.must_call && draft.has_format)
    return bad_field("tool_choice", "a forced call beside an output format", "one of the two");
  return {};
}

/// What an answer repeats of its request, and what stands there for fields that were not given.
struct Echo {
  const char* name;
  std::string_view fallback;
};
constexpr std::array kEchoes{
    Echo{"instructions", "null"},
    Echo{"max_output_tokens", "null"},
    Echo{"metadata", "{}"},
    Echo{"parallel_tool_calls", "true"},
    Echo{"reasoning", R"({"effort":null,"summary":null})"},
    Echo{"temperature", "null"},
    Echo{"text", R"({"format":{"type":"text"}})"},
    Echo{"tool_choice", R"("auto")"},
    Echo{"tools", "[]"},
    Echo{"top_p", "null"},
    Echo{"truncation", R"("disabled")"},
    Echo{"user", "null"},
};

std::string echo_of(Object object) {
  std::string out;
  JsonWriter json{out};
  json.key("background").boolean(false).key("previous_response_id").null().key("store").boolean(false);
  for (const Echo& echo : kEchoes) {
    Element value;
    const bool given = object.at_key(echo.name).get(value) == simdjson::SUCCESS && !value.is_null();
    json.key(echo.name);
    if (given) {
      json.raw(openai::to_json(value));
    } else {
      json.raw(echo.fallback);
    }
  }
  return out;
}

}  // namespace

Result<api::ConvertedRequest> convert_response_request(std::string_view body, const api::ConversionOptions& options) {
  LLMD_TRY(const Object object, openai::parse_body(body));
  Draft draft{options};
  for (const auto entry : object) {
    const auto* rule = kRules.find(entry.key);
    if (rule != nullptr && !entry.value.is_null()) LLMD_TRY_VOID(rule->read(draft, entry.key, entry.value));
  }
  LLMD_TRY_VOID(check(draft));
  if (draft.thinks_not && !draft.has_template_kwargs)
    draft.json.key("chat_template_kwargs").begin_object().key("enable_thinking").boolean(false).end_object();
  if (draft.request.stream) {
    draft.json.key("stream").boolean(true);
    draft.json.key("stream_options").begin_object().key("include_usage").boolean(true).end_object();
  }
  if (!draft.tools.empty()) draft.json.key("tools").raw(draft.tools);
  draft.json.key("messages").raw(draft.messages.finish(draft.instructions));
  draft.request.body = fmt::format("{{{}}}", draft.members);
  draft.request.echo = echo_of(object);
  return std::move(draft.request);
}

Result<void> check_stateless(std::string& body) {
  for (const std::string_view field : {"previous_response_id", "conversation"}) {
    LLMD_TRY(const auto value, openai::raw_member(body, field));
    if (value && *value != "null") return refers_back(field);
  }
  return {};
}

}  // namespace llmd::responses
