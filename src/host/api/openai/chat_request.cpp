#include "api/openai/chat_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "api/openai/chat_fields.h"
#include "api/openai/chat_message.h"
#include "api/openai/generation_fields.h"
#include "api/openai/limits.h"
#include "api/openai/rule_table.h"

namespace llmd::openai {
namespace {

using Parts = ChatPromptReader::Parts;

bool is_tool_name(std::string_view name) {
  const auto allowed = [](unsigned char byte) {
    return std::isalnum(byte) != 0 || byte == '_' || byte == '-' || byte == '.';
  };
  return !name.empty() && name.size() <= kToolNameBytesMax && std::all_of(name.begin(), name.end(), allowed);
}

Result<void> read_messages(Parts& parts, std::string_view field, Element value) {
  LLMD_TRY(const Array list, read_array(field, value));
  const std::size_t count = list.size();
  if (count == 0) return bad_field(field, "empty", "at least one message");
  if (count > kMessagesMax)
    return bad_field(field, fmt::format("an array of {}", count), fmt::format("at most {} messages", kMessagesMax));
  parts.messages.clear();
  for (const Element entry : list) {
    LLMD_TRY(ChatMessage message, read_chat_message(fmt::format("{}[{}]", field, parts.messages.size()), entry));
    parts.messages.push_back(std::move(message.json));
    parts.last_role = std::move(message.role);
    parts.last_text = std::move(message.text);
  }
  parts.has_messages = true;
  return {};
}

Result<void> read_tool(Parts& parts, const std::string& field, Element value) {
  LLMD_TRY(const Object tool, read_object(field, value));
  std::string_view type;
  if (tool.at_key("type").get(type) != simdjson::SUCCESS)
    return bad_field(field + ".type", "missing or no string", "\"function\"");
  if (type != "function") return bad_field(field + ".type", quote(type), "\"function\"");
  Element function_value;
  if (tool.at_key("function").get(function_value) != simdjson::SUCCESS) {
    return bad_field(field + ".function", "missing", "an object with name and parameters");
  }
  LLMD_TRY(const Object function, read_object(field + ".function", function_value));
  std::string_view name;
  const std::string name_field = field + ".function.name";
  constexpr std::string_view kExpected = "1 to 64 letters, digits, '_', '-' or '.'";
  if (function.at_key("name").get(name) != simdjson::SUCCESS)
    return bad_field(name_field, "missing or no string", kExpected);
  if (!is_tool_name(name)) return bad_field(name_field, quote(name), kExpected);
  Element parameters;
  if (function.at_key("parameters").get(parameters) == simdjson::SUCCESS && !parameters.is_null()) {
    LLMD_TRY(const Object schema, read_object(field + ".function.parameters", parameters));
    static_cast<void>(schema);
  }
  Element description;
  if (function.at_key("description").get(description) == simdjson::SUCCESS && !description.is_null()) {
    LLMD_TRY(const std::string_view text, read_string(field + ".function.description", description, kBodyBytesMax));
    static_cast<void>(text);
  }
  parts.tool_names.emplace_back(name);
  return {};
}

Result<void> read_tools(Parts& parts, std::string_view field, Element value) {
  LLMD_TRY(const Array list, read_array(field, value));
  const std::size_t count = list.size();
  if (count > kToolsMax)
    return bad_field(field, fmt::format("an array of {}", count), fmt::format("at most {} tools", kToolsMax));
  parts.tool_names.clear();
  for (const Element entry : list) {
    LLMD_TRY_VOID(read_tool(parts, fmt::format("{}[{}]", field, parts.tool_names.size()), entry));
  }
  parts.prompt.tools_json = count == 0 ? std::string{} : to_json(value);
  return {};
}

Result<void> read_tool_choice(Parts& parts, std::string_view field, Element value) {
  constexpr std::string_view kExpected = "\"auto\", \"none\", \"required\" or an object that names a function";
  parts.has_tool_choice = true;
  std::string_view word;
  if (value.get(word) == simdjson::SUCCESS) {
    if (word == "auto") {
      parts.prompt.tool_choice = ToolChoice::kAuto;
    } else if (word == "none") {
      parts.prompt.tool_choice = ToolChoice::kNone;
    } else if (word == "required") {
      parts.prompt.tool_choice = ToolChoice::kRequired;
    } else {
      return bad_field(field, quote(word), kExpected);
    }
    return {};
  }
  Object object;
  std::string_view type;
  std::string_view name;
  if (value.get(object) != simdjson::SUCCESS) return bad_field(field, describe(value), kExpected);
  const bool is_function = object.at_key("type").get(type) == simdjson::SUCCESS && type == "function";
  if (!is_function || object["function"]["name"].get(name) != simdjson::SUCCESS) {
    return bad_field(field, "an object without type \"function\" and function.name", kExpected);
  }
  parts.prompt.tool_choice = ToolChoice::kFunction;
  parts.prompt.tool_name = std::string{name};
  return {};
}

Result<void> refuse_functions(Parts& /*parts*/, std::string_view field, Element /*value*/) {
  return unsupported_field(field, fmt::format("{} is not supported; it is the legacy form of tools", field),
                           "send tools and tool_choice");
}

Result<void> refuse_audio(Parts& /*parts*/, std::string_view field, Element /*value*/) {
  return unsupported_field(field, fmt::format("{} is not supported; this server answers with text only", field),
                           "leave it out");
}

Result<void> check_modalities(Parts& /*parts*/, std::string_view field, Element value) {
  LLMD_TRY(const Array list, read_array(field, value));
  std::size_t index = 0;
  for (const Element entry : list) {
    const std::string at = fmt::format("{}[{}]", field, index++);
    LLMD_TRY(const std::string_view modality, read_string(at, entry, kNameBytesMax));
    if (modality == "text") continue;
    return unsupported_field(field, fmt::format("{} is {}; this server answers with text only", at, quote(modality)),
                             "send [\"text\"]");
  }
  return {};
}

using Rule = FieldRule<Parts>;
constexpr auto kRules = rule_table<Parts>({
    Rule{"add_generation_prompt",
         [](Parts& parts, std::string_view field, Element value) {
           parts.add_generation_prompt_given = true;
           return assign(parts.prompt.add_generation_prompt, read_bool(field, value));
         }},
    Rule{"audio", refuse_audio},
    Rule{"chat_template_kwargs",
         [](Parts& parts, std::string_view field, Element value) -> Result<void> {
           LLMD_TRY(const Object object, read_object(field, value));
           static_cast<void>(object);
           parts.prompt.template_kwargs_json = to_json(value);
           return {};
         }},
    Rule{"continue_final_message",
         [](Parts& parts, std::string_view field, Element value) {
           return assign(parts.continue_final_message, read_bool(field, value));
         }},
    Rule{"function_call", refuse_functions},
    Rule{"functions", refuse_functions},
    Rule{"messages", read_messages},
    Rule{"modalities", check_modalities},
    Rule{"parallel_tool_calls",
         [](Parts& parts, std::string_view field, Element value) {
           return assign(parts.prompt.parallel_tool_calls, read_bool(field, value));
         }},
    Rule{"tool_choice", read_tool_choice},
    Rule{"tools", read_tools},
});

Result<void> check_tool_choice(const Parts& parts) {
  const ToolChoice choice = parts.prompt.tool_choice;
  if (parts.tool_names.empty() && (choice == ToolChoice::kRequired || choice == ToolChoice::kFunction)) {
    return bad_field("tool_choice", "given without tools", "tools with at least one function");
  }
  const auto& names = parts.tool_names;
  if (choice == ToolChoice::kFunction && std::find(names.begin(), names.end(), parts.prompt.tool_name) == names.end()) {
    return bad_field("tool_choice.function.name", quote(parts.prompt.tool_name), "the name of one of the tools");
  }
  return {};
}

/// logprobs and top_logprobs of a chat request.
struct ChatLogprobs {
  bool wanted = false;
  std::optional<std::uint32_t> top;
};

Result<bool> read_logprobs(ChatLogprobs& logprobs, std::string_view field, Element value) {
  if (field == "logprobs") {
    if (!value.is_null()) LLMD_TRY_VOID(assign(logprobs.wanted, read_bool(field, value)));
    return true;
  }
  if (field != "top_logprobs") return false;
  if (!value.is_null())
    LLMD_TRY_VOID(assign(logprobs.top, read_integer(field, value, {.min = 0, .max = kTopLogprobsMax})));
  return true;
}

}  // namespace

Result<bool> ChatPromptReader::read(std::string_view field, Element value) {
  const auto* rule = kRules.find(field);
  if (rule == nullptr) return false;
  if (!value.is_null()) LLMD_TRY_VOID(rule->read(parts_, field, value));
  return true;
}

Result<ChatPrompt> ChatPromptReader::finish() {
  if (!parts_.has_messages) return bad_field("messages", "missing", "an array of messages");
  LLMD_TRY_VOID(check_tool_choice(parts_));
  ChatPrompt& prompt = parts_.prompt;
  if (parts_.continue_final_message) {
    if (prompt.add_generation_prompt && parts_.add_generation_prompt_given) {
      return bad_field("continue_final_message", "true", "false where add_generation_prompt is true");
    }
    if (parts_.last_role != "assistant" || !parts_.last_text) {
      return bad_field("continue_final_message", "true", "a last message of role assistant with text");
    }
    prompt.continued_text = std::move(parts_.last_text);
    prompt.add_generation_prompt = true;  // opens the assistant's turn, which the continued text then fills
    parts_.messages.pop_back();
    if (parts_.messages.empty()) return bad_field("messages", "one message", "a message before the one to continue");
  }
  prompt.messages_json = fmt::format("[{}]", fmt::join(parts_.messages, ","));
  return std::move(prompt);
}

Result<ChatCompletionRequest> parse_chat_completion(std::string_view body) {
  LLMD_TRY(const Object object, parse_body(body));
  ChatCompletionRequest request;
  GenerationReader generation{request.generation};
  ChatPromptReader prompt;
  ChatLogprobs logprobs;
  for (const auto entry : object) {
    LLMD_TRY(bool taken, prompt.read(entry.key, entry.value));
    if (taken) continue;
    LLMD_TRY(taken, read_logprobs(logprobs, entry.key, entry.value));
    if (!taken) LLMD_TRY_VOID(generation.read(entry.key, entry.value));
  }
  LLMD_TRY(request.prompt, prompt.finish());
  LLMD_TRY_VOID(generation.finish());
  if (logprobs.top && !logprobs.wanted) return bad_field("top_logprobs", "given", "logprobs to be true with it");
  if (logprobs.wanted) request.generation.sampling.top_logprobs = logprobs.top.value_or(0);
  const bool must_call =
      request.prompt.tool_choice == ToolChoice::kRequired || request.prompt.tool_choice == ToolChoice::kFunction;
  if (must_call && !request.generation.constraint.empty()) {
    return bad_field("tool_choice", "a forced call beside an output constraint", "one of the two");
  }
  return request;
}

}  // namespace llmd::openai
