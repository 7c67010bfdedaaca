#include "api/openai/chat_answer_reader.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "api/openai/field.h"
#include "api/openai/upstream_error.h"

namespace llmd::openai {
namespace {

constexpr std::size_t kCallsMax = 4'096;  // of one answer

std::string_view text_in(Object object, const char* name) {
  std::string_view text;
  return object[name].get_string().get(text) == simdjson::SUCCESS ? text : std::string_view{};
}

std::uint32_t count_in(Object object, const char* name) {
  std::uint64_t count = 0;
  if (object[name].get_uint64().get(count) != simdjson::SUCCESS) return 0;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, std::numeric_limits<std::uint32_t>::max()));
}

/// vLLM's newer name for it is shorter.
std::string_view reasoning_in(Object message) {
  const std::string_view text = text_in(message, "reasoning_content");
  return text.empty() ? text_in(message, "reasoning") : text;
}

std::optional<Usage> usage_in(Object answer) {
  Object usage;
  if (answer["usage"].get_object().get(usage) != simdjson::SUCCESS) return std::nullopt;
  Usage found{.prompt_tokens = count_in(usage, "prompt_tokens"),
              .completion_tokens = count_in(usage, "completion_tokens")};
  Object details;
  if (usage["prompt_tokens_details"].get_object().get(details) == simdjson::SUCCESS)
    found.cached_tokens = std::min(count_in(details, "cached_tokens"), found.prompt_tokens);
  return found;
}

/// The first choice: others are not asked for by the APIs that this is read for.
std::optional<Object> choice_in(Object answer) {
  Array choices;
  Object choice;
  if (answer["choices"].get_array().get(choices) != simdjson::SUCCESS) return std::nullopt;
  if (choices.at(0).get_object().get(choice) != simdjson::SUCCESS) return std::nullopt;
  return choice;
}

/// Arguments are text; some engines give the object itself.
std::string arguments_in(Object function) {
  Element value;
  if (function["arguments"].get(value) != simdjson::SUCCESS || value.is_null()) return {};
  std::string_view text;
  return value.get(text) == simdjson::SUCCESS ? std::string{text} : to_json(value);
}

void read_deltas(Object delta, ChatChunk& chunk) {
  Array calls;
  if (delta["tool_calls"].get_array().get(calls) != simdjson::SUCCESS) return;
  std::size_t position = 0;
  for (const Element entry : calls) {
    Object call;
    if (entry.get(call) != simdjson::SUCCESS) continue;
    std::uint64_t index = 0;
    if (call["index"].get_uint64().get(index) != simdjson::SUCCESS) index = position;
    ++position;
    ChatChunk::ToolCallDelta read{.index = static_cast<std::size_t>(std::min<std::uint64_t>(index, kCallsMax)),
                                  .id = text_in(call, "id")};
    Object function;
    if (call["function"].get_object().get(function) == simdjson::SUCCESS) {
      read.name = text_in(function, "name");
      read.arguments = text_in(function, "arguments");
    }
    chunk.tool_calls.push_back(read);
  }
}

Error no_answer(std::string_view what) {
  return {.code = ErrorCode::kProtocol,
          .what = std::string{"the endpoint's "}.append(what),
          .hint = "check that it serves OpenAI's chat completions"};
}

}  // namespace

Result<ChatEvent> read_chat_event(std::string_view json) {
  const auto object = parse_body(json);
  if (!object) return std::unexpected(no_answer("event is no JSON object"));
  ChatEvent event;
  Element error;
  if (object->at_key("error").get(error) == simdjson::SUCCESS && !error.is_null()) {
    event.error = read_error(0, json);
    return event;
  }
  event.usage = usage_in(*object);
  const auto choice = choice_in(*object);
  if (!choice) return event;
  ChatChunk& chunk = event.chunk.emplace();
  Object delta;
  if ((*choice)["delta"].get_object().get(delta) == simdjson::SUCCESS) {
    chunk.content = text_in(delta, "content");
    chunk.reasoning = reasoning_in(delta);
    read_deltas(delta, chunk);
  }
  chunk.finish_reason = text_in(*choice, "finish_reason");
  chunk.stop_reason = text_in(*choice, "stop_reason");
  return event;
}

Result<ChatAnswer> read_chat_answer(std::string_view json) {
  const auto object = parse_body(json);
  if (!object) return std::unexpected(no_answer("answer is no JSON object"));
  const auto choice = choice_in(*object);
  Object message;
  if (!choice || (*choice)["message"].get_object().get(message) != simdjson::SUCCESS)
    return std::unexpected(no_answer("answer has no message"));
  ChatAnswer answer{.usage = usage_in(*object).value_or(Usage{})};
  answer.choice.content = text_in(message, "content");
  answer.choice.reasoning = reasoning_in(message);
  answer.choice.finish_reason = text_in(*choice, "finish_reason");
  if (const std::string_view stop = text_in(*choice, "stop_reason"); !stop.empty())
    answer.choice.stop_reason = std::string{stop};
  Array calls;
  if (message["tool_calls"].get_array().get(calls) != simdjson::SUCCESS) return answer;
  for (const Element entry : calls) {
    Object call;
    Object function;
    if (entry.get(call) != simdjson::SUCCESS) continue;
    if (call["function"].get_object().get(function) != simdjson::SUCCESS) continue;
    if (answer.choice.tool_calls.size() >= kCallsMax) break;
    answer.choice.tool_calls.push_back({.id = std::string{text_in(call, "id")},
                                        .name = std::string{text_in(function, "name")},
                                        .arguments = arguments_in(function)});
  }
  return answer;
}

Result<std::uint32_t> read_token_count(std::string_view json) {
  const auto object = parse_body(json);
  std::uint64_t count = 0;
  if (!object || (*object)["count"].get_uint64().get(count) != simdjson::SUCCESS)
    return std::unexpected(no_answer("answer to /tokenize has no count"));
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, std::numeric_limits<std::uint32_t>::max()));
}

Error read_error(int status, std::string_view json) {
  Error error{.code = status == 0 ? ErrorCode::kUpstreamFailed : nearest_code(status), .what = {}};
  const auto object = parse_body(json);
  Object told;
  if (object && (*object)["error"].get_object().get(told) == simdjson::SUCCESS) {
    error.what = text_in(told, "message");
    error.param = text_in(told, "param");
    if (status == 0 && text_in(told, "type") == "rate_limit_error") error.code = ErrorCode::kOverloaded;
    if (status == 0 && text_in(told, "type") == "invalid_request_error") error.code = ErrorCode::kInvalidRequest;
  } else if (object) {
    error.what = text_in(*object, "error");
  }
  if (error.what.empty()) error.what = "the endpoint did not say what went wrong";
  return error;
}

}  // namespace llmd::openai
