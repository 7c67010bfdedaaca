#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "llamacpp/model.h"
#include "model/generation.h"

namespace llmd::llamacpp {

/// The parts of a chat request that shape the prompt and constrain the answer; JSON texts as the client sent them.
struct ChatRequest {
  std::string messages_json;  // array
  std::string tools_json;     // array, or empty
  enum class ToolChoice { kAuto, kNone, kRequired, kFunction } tool_choice = ToolChoice::kAuto;
  std::string tool_name;  // with kFunction
  bool parallel_tool_calls = false;
  std::string json_schema;  // response_format; "{}" for json_object; empty for none
  std::string grammar;      // GBNF given by the client; empty for none
  bool add_generation_prompt = true;
  std::string template_kwargs_json;  // chat_template_kwargs, or empty
  bool prompt_only = false;          // only `prompt` and `add_special` of the result are used: compiles no grammar
};

/// What a chat request becomes.
struct RenderedChat {
  std::string prompt;        // tokenise with parse_special, add_special as `add_special` says
  bool add_special = false;  // false when the template already wrote BOS
  GrammarSpec grammar;
  std::vector<std::string> stop;       // further stop strings of the template
  std::shared_ptr<const void> parser;  // for ChatParser
};

struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // JSON text, may be partial while streaming
};

/// One step of a streamed assistant message.
struct ChatDelta {
  std::string content;
  std::string reasoning;
  struct Call {
    std::size_t index = 0;
    std::string id;  // with the first delta of a call
    std::string name;
    std::string arguments;  // appended text
  };
  std::vector<Call> tool_calls;
  [[nodiscard]] bool empty() const noexcept { return content.empty() && reasoning.empty() && tool_calls.empty(); }
};

/// The model's chat template through llama.cpp's `common`. Immutable, thread-safe.
class ChatTemplate {
 public:
  /// `override_source`: a Jinja template instead of the model's own; empty for the model's.
  [[nodiscard]] static Result<std::shared_ptr<const ChatTemplate>> load(std::shared_ptr<const Model> model,
                                                                        const std::string& override_source = {});
  ~ChatTemplate();

  /// Errors: kInvalidRequest (messages the template refuses), kInvalidGrammar (schema), kUnsupported.
  [[nodiscard]] Result<RenderedChat> render(const ChatRequest& request) const;

 private:
  ChatTemplate() = default;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// JSON schema to GBNF, and a check that a GBNF compiles. Error kInvalidGrammar.
[[nodiscard]] Result<std::string> schema_to_gbnf(const std::string& json_schema);
[[nodiscard]] Result<void> check_gbnf(const std::string& gbnf);

/// Turns the raw output text of one answer into content, reasoning and tool calls. One object an answer; not
/// thread-safe.
class ChatParser {
 public:
  explicit ChatParser(const RenderedChat& rendered);
  ~ChatParser();
  /// Adds output text; returns what is new.
  [[nodiscard]] ChatDelta feed(std::string_view text);
  /// The end: what is left.
  [[nodiscard]] ChatDelta finish();
  [[nodiscard]] bool has_tool_calls() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace llmd::llamacpp
