#include "llamacpp/tool_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>

namespace llmd::llamacpp {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kIntroduction = "You can call functions. They are listed here, one JSON object a line:\n";
constexpr std::string_view kInstruction =
    "To call one, answer with nothing but <tool_call>{\"name\": NAME, \"arguments\": OBJECT}</tool_call>.";

std::string tools_as_text(const Json& tools) {
  std::string text{kIntroduction};
  for (const Json& tool : tools) text += tool.at("function").dump() + "\n";
  text += kInstruction;
  return text;
}

std::string content_of(const Json& message) {
  const auto content = message.find("content");
  if (content == message.end() || content->is_null()) return {};
  if (content->is_string()) return content->get<std::string>();
  std::string text;
  for (const Json& part : *content) {
    if (part.is_object() && part.value("type", "") == "text") text += part.value("text", "");
  }
  return text;
}

/// Arguments come as JSON text; a client may also send an object.
Json arguments_of(const Json& function) {
  const auto arguments = function.find("arguments");
  if (arguments == function.end()) return Json::object();
  if (!arguments->is_string()) return *arguments;
  Json parsed = Json::parse(arguments->get<std::string>(), nullptr, /*allow_exceptions=*/false);
  return parsed.is_discarded() ? *arguments : parsed;
}

Json rewrite_message(const Json& message) {
  const std::string role = message.value("role", "");
  if (role == "tool") {
    return {{"role", "user"}, {"content", fmt::format("<tool_response>{}</tool_response>", content_of(message))}};
  }
  const auto calls = message.find("tool_calls");
  if (role != "assistant" || calls == message.end() || !calls->is_array() || calls->empty()) return message;
  std::string text = content_of(message);
  for (const Json& call : *calls) {
    const Json& function = call.at("function");
    const Json line = {{"name", function.at("name")}, {"arguments", arguments_of(function)}};
    text += fmt::format("{}{}{}", kToolCallOpen, line.dump(), kToolCallClose);
  }
  return {{"role", "assistant"}, {"content", std::move(text)}};
}

/// References from the top of a tool's parameters, where they lie in the schema of all calls.
void rebase_references(Json& node, const std::string& top) {
  for (auto& [name, value] : node.items()) {
    if (value.is_structured()) {
      rebase_references(value, top);
    } else if (node.is_object() && name == "$ref" && value.is_string()) {
      const auto& reference = value.get_ref<const std::string&>();
      if (reference.starts_with('#')) value = top + reference.substr(1);
    }
  }
}

Json call_schema(const Json& tool, std::size_t index) {
  const Json& function = tool.at("function");
  Json arguments = Json::object();
  if (const auto given = function.find("parameters"); given != function.end() && given->is_object()) arguments = *given;
  if (!arguments.contains("type")) arguments["type"] = "object";
  rebase_references(arguments, fmt::format("#/anyOf/{}/properties/arguments", index));
  return {{"type", "object"},
          {"properties", {{"name", {{"const", function.at("name")}}}, {"arguments", std::move(arguments)}}},
          {"required", {"name", "arguments"}},
          {"additionalProperties", false}};
}

std::unexpected<Error> bad_tools(const std::exception& failure) {
  return fail(
      ErrorCode::kInvalidRequest,
      fmt::format("messages or tools are not in OpenAI's form: {}", std::string_view{failure.what()}.substr(0, 160)),
      "each tool is {\"type\": \"function\", \"function\": {\"name\": ..., \"parameters\": ...}}");
}

}  // namespace

Result<std::string> describe_tools(const std::string& messages_json, const std::string& tools_json) {
  try {
    const Json messages = Json::parse(messages_json);
    const std::string tools = tools_as_text(Json::parse(tools_json));
    Json rewritten = Json::array();
    for (const Json& message : messages) rewritten.push_back(rewrite_message(message));
    const bool has_system = !rewritten.empty() && rewritten.front().value("role", "") == "system";
    if (has_system) {
      rewritten.front()["content"] = content_of(rewritten.front()) + "\n\n" + tools;
    } else {
      rewritten.insert(rewritten.begin(), Json{{"role", "system"}, {"content", tools}});
    }
    return rewritten.dump();
  } catch (const std::exception& failure) {
    return bad_tools(failure);
  }
}

Result<std::string> tool_line_grammar(const std::string& tools_json, ToolGrammarOptions options) {
  std::string schema;
  try {
    Json choices = Json::array();
    for (const Json& tool : Json::parse(tools_json)) choices.push_back(call_schema(tool, choices.size()));
    schema = Json{{"anyOf", std::move(choices)}}.dump();
  } catch (const std::exception& failure) {
    return bad_tools(failure);
  }
  LLMD_TRY(std::string gbnf, schema_to_gbnf(schema));
  // The converter's start rule becomes the call; ours takes the name "root".
  const std::size_t root = gbnf.starts_with("root ") ? 0 : gbnf.find("\nroot ");
  if (root == std::string::npos) return fail(ErrorCode::kInternal, "the schema converter made no rule \"root\"");
  gbnf.insert(gbnf.find("root", root), "tool-line-");
  gbnf += fmt::format("\ntool-line ::= \"{}\" tool-line-root \"{}\"\n", kToolCallOpen, kToolCallClose);
  gbnf += options.parallel ? "root ::= tool-line (\"\\n\"? tool-line)*\n" : "root ::= tool-line\n";
  LLMD_TRY_VOID(check_gbnf(gbnf));
  return gbnf;
}

ChatDelta ToolLineParser::feed(std::string_view text) {
  ChatDelta delta;
  pending_ += text;
  while (call_ ? read_call(delta) : read_text(delta)) {
  }
  return delta;
}

/// Content up to the next call. True if one begins.
bool ToolLineParser::read_text(ChatDelta& delta) {
  const std::size_t at = pending_.find(kToolCallOpen);
  const bool begins = at != std::string::npos;
  // All but a tail that may be the beginning of a marker is content.
  std::size_t keep = begins ? 0 : std::min(pending_.size(), kToolCallOpen.size() - 1);
  while (keep > 0 && !kToolCallOpen.starts_with(std::string_view{pending_}.substr(pending_.size() - keep))) --keep;
  const std::string_view text = std::string_view{pending_}.substr(0, begins ? at : pending_.size() - keep);
  const std::size_t space = after_call_ ? std::min(text.find_first_not_of(" \n"), text.size()) : 0;
  delta.content += text.substr(space);
  if (space < text.size()) after_call_ = false;
  pending_.erase(0, text.size() + (begins ? kToolCallOpen.size() : 0));
  if (begins) call_.emplace();
  return begins;
}

/// What an open call adds. True if it is closed.
bool ToolLineParser::read_call(ChatDelta& delta) {
  ToolCallReader::Step step;
  pending_.erase(0, call_->feed(pending_, step));
  if (!step.name.empty()) ++calls_;
  if (!step.name.empty() || !step.arguments.empty()) {
    delta.tool_calls.push_back({.index = calls_ - 1,
                                .id = step.name.empty() ? std::string{} : new_tool_call_id(),
                                .name = std::move(step.name),
                                .arguments = std::move(step.arguments)});
  }
  return call_->ended() && close_call(delta);
}

/// Drops what stands between the call's end and its closing marker; a text that is no call is content. True if the
/// marker has come.
bool ToolLineParser::close_call(ChatDelta& delta) {
  const std::size_t at = pending_.find(kToolCallClose);
  if (at == std::string::npos) return false;
  if (!call_->named()) {
    delta.content += fmt::format("{}{}{}", kToolCallOpen, call_->beginning(), pending_.substr(0, at));
    delta.content += kToolCallClose;
  }
  pending_.erase(0, at + kToolCallClose.size());
  call_.reset();
  after_call_ = true;
  return true;
}

ChatDelta ToolLineParser::finish() {
  ChatDelta delta;
  if (!call_) {
    delta.content = std::move(pending_);
  } else if (!call_->named()) {
    delta.content = fmt::format("{}{}{}", kToolCallOpen, call_->beginning(), pending_);
  }
  pending_.clear();
  call_.reset();
  return delta;
}

std::string new_tool_call_id() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::string id = "call_";
  for (int i = 0; i < 24; ++i) id += kAlphabet[random() % kAlphabet.size()];
  return id;
}

}  // namespace llmd::llamacpp
