#include "llamacpp/chat_template.h"

#include <chat.h>
#include <fmt/format.h>
#include <json.h>

#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "llamacpp/backend.h"
#include "llamacpp/input_limits.h"
#include "llamacpp/parser_setup.h"
#include "llamacpp/schema_lowering.h"
#include "llamacpp/tool_lines.h"
#include "llamacpp/vocab.h"
#include "telemetry/log.h"

namespace llmd::llamacpp {
namespace {

std::unexpected<Error> refused(const std::exception& failure) {
  return fail(
      ErrorCode::kInvalidRequest,
      fmt::format("the chat template does not take this request: {}", std::string_view{failure.what()}.substr(0, 200)),
      "check roles, their order and the content parts of messages");
}

Result<void> check_shape(std::string_view name, std::string_view json) {
  const JsonShape shape = json_shape(json);
  if (shape.depth <= kJsonDepthMax) return {};
  return fail(ErrorCode::kInvalidRequest,
              fmt::format("{} nests {} levels deep; at most {} are accepted", name, shape.depth, kJsonDepthMax));
}

common_chat_tool_choice to_common(ChatRequest::ToolChoice choice) {
  switch (choice) {
    case ChatRequest::ToolChoice::kAuto: return COMMON_CHAT_TOOL_CHOICE_AUTO;
    case ChatRequest::ToolChoice::kNone: return COMMON_CHAT_TOOL_CHOICE_NONE;
    default: return COMMON_CHAT_TOOL_CHOICE_REQUIRED;
  }
}

/// The tools that may be called: with a named function, only that one.
Result<std::string> chosen_tools(const ChatRequest& request) {
  if (request.tool_choice != ChatRequest::ToolChoice::kFunction) return request.tools_json;
  try {
    auto kept = nlohmann::ordered_json::array();
    for (const auto& tool : nlohmann::ordered_json::parse(request.tools_json.empty() ? "[]" : request.tools_json)) {
      if (tool.at("function").at("name") == request.tool_name) kept.push_back(tool);
    }
    if (!kept.empty()) return kept.dump();
  } catch (const std::exception& failure) {
    return refused(failure);
  }
  return std::unexpected(
      Error{.code = ErrorCode::kInvalidRequest,
            .what = fmt::format("tool_choice names function \"{}\", which is not among tools", request.tool_name),
            .hint = "name a function of the tools array",
            .param = "tool_choice"});
}

std::map<std::string, std::string> kwargs_of(const std::string& json) {
  std::map<std::string, std::string> kwargs;
  if (json.empty()) return kwargs;
  // Named: GCC 12 does not keep a temporary alive whose member's result a loop runs over.
  const auto object = nlohmann::ordered_json::parse(json);
  for (const auto& [key, value] : object.items()) kwargs[key] = value.dump();
  return kwargs;
}

}  // namespace

struct ChatTemplate::Impl {
  std::shared_ptr<const Model> model;
  std::unique_ptr<Vocab> vocab;
  common_chat_templates_ptr templates;
  bool knows_tools = false;

  // How a plain chat is read depends on the template alone, and finding it out renders the template dozens of times.
  struct PlainChat {
    RenderedChat shape;  // all but the prompt
  };
  mutable std::mutex mutex;
  mutable std::map<std::string, PlainChat> plain;  // by kwargs and generation prompt; at most kPlainMax entries
  static constexpr std::size_t kPlainMax = 64;

  [[nodiscard]] common_chat_templates_inputs inputs(const ChatRequest& request, const std::string& messages,
                                                    const std::string& tools) const {
    common_chat_templates_inputs inputs;
    inputs.messages = common_chat_msgs_parse_oaicompat(common_json::parse(messages));
    if (!tools.empty()) inputs.tools = common_chat_tools_parse_oaicompat(common_json::parse(tools));
    inputs.tool_choice = to_common(request.tool_choice);
    inputs.parallel_tool_calls = request.parallel_tool_calls;
    inputs.add_generation_prompt = request.add_generation_prompt;
    inputs.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
    inputs.chat_template_kwargs = kwargs_of(request.template_kwargs_json);
    const auto thinking = inputs.chat_template_kwargs.find("enable_thinking");
    if (thinking != inputs.chat_template_kwargs.end()) inputs.enable_thinking = thinking->second != "false";
    return inputs;
  }

  [[nodiscard]] GrammarSpec grammar_of(const common_chat_params& params) const {
    GrammarSpec spec{.gbnf = params.grammar, .lazy = params.grammar_lazy};
    if (spec.gbnf.empty()) return spec;
    spec.generation_prompt = params.generation_prompt;
    for (const std::string& text : params.preserved_tokens) {
      const auto tokens = vocab->encode(text, {.add_special = false, .parse_special = true});
      if (tokens.size() == 1) spec.preserved_tokens.push_back(tokens.front());
    }
    for (const common_grammar_trigger& trigger : params.grammar_triggers) add_trigger(trigger, spec);
    return spec;
  }

  void add_trigger(const common_grammar_trigger& trigger, GrammarSpec& spec) const {
    switch (trigger.type) {
      case COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN: spec.trigger_tokens.push_back(trigger.token); return;
      case COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN: spec.trigger_patterns.push_back(trigger.value); return;
      case COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL: spec.trigger_patterns_full.push_back(trigger.value); return;
      case COMMON_GRAMMAR_TRIGGER_TYPE_WORD: break;
    }
    const auto tokens = vocab->encode(trigger.value, {.add_special = false, .parse_special = true});
    if (tokens.size() == 1) {
      spec.trigger_tokens.push_back(tokens.front());
    } else {
      spec.trigger_words.push_back(trigger.value);
    }
  }

  /// Everything that `common` makes of the request.
  [[nodiscard]] RenderedChat render_common(const common_chat_templates_inputs& inputs) const {
    common_chat_params params = common_chat_templates_apply(templates.get(), inputs);
    auto setup = std::make_shared<ParserSetup>();
    // Without tools, reasoning and a format of its own, all text is content.
    const bool plain_text = inputs.tools.empty() && inputs.json_schema.empty() && !params.supports_thinking;
    setup->kind = plain_text ? ParserSetup::Kind::kPlain : ParserSetup::Kind::kCommon;
    setup->common = common_chat_parser_params{params};
    setup->common.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
    if (!params.parser.empty()) setup->common.parser.load(params.parser);
    return {.prompt = std::move(params.prompt),
            .add_special = true,
            .grammar = grammar_of(params),
            .stop = std::move(params.additional_stops),
            .parser = std::move(setup)};
  }

  /// A chat without tools and constraint: the usual case.
  [[nodiscard]] RenderedChat render_plain(const ChatRequest& request, common_chat_templates_inputs inputs) const {
    const std::string key =
        fmt::format("{}{}{}", request.template_kwargs_json, inputs.add_generation_prompt, inputs.enable_thinking);
    {
      const std::lock_guard lock{mutex};
      if (const auto known = plain.find(key); known != plain.end()) {
        RenderedChat rendered = known->second.shape;
        inputs.force_pure_content = true;  // renders once and analyses nothing
        rendered.prompt = common_chat_templates_apply(templates.get(), inputs).prompt;
        return rendered;
      }
    }
    RenderedChat rendered = render_common(inputs);
    const std::lock_guard lock{mutex};
    if (plain.size() < kPlainMax) {
      PlainChat& shape = plain[key];
      shape.shape = rendered;
      shape.shape.prompt.clear();
    }
    return rendered;
  }

  [[nodiscard]] Result<RenderedChat> render_tool_lines(const ChatRequest& request, const std::string& tools) const {
    LLMD_TRY(const std::string messages, describe_tools(request.messages_json, tools));
    RenderedChat rendered = render_plain(request, inputs(request, messages, {}));
    if (request.prompt_only) return rendered;
    const bool lazy = request.tool_choice == ChatRequest::ToolChoice::kAuto;
    LLMD_TRY(std::string gbnf, tool_line_grammar(tools, {.lazy = lazy, .parallel = request.parallel_tool_calls}));
    rendered.grammar = {.gbnf = std::move(gbnf), .lazy = lazy};
    if (lazy) rendered.grammar.trigger_words.emplace_back(kToolCallOpen);
    auto setup = std::make_shared<ParserSetup>();
    setup->kind = ParserSetup::Kind::kToolLines;
    rendered.parser = std::move(setup);
    return rendered;
  }
};

ChatTemplate::~ChatTemplate() = default;

Result<std::shared_ptr<const ChatTemplate>> ChatTemplate::load(std::shared_ptr<const Model> model,
                                                               const std::string& override_source) {
  ensure_backend();
  std::shared_ptr<ChatTemplate> loaded{new ChatTemplate};
  loaded->impl_ = std::make_unique<Impl>();
  try {
    loaded->impl_->templates = common_chat_templates_init(model->raw(), override_source);
    auto caps = common_chat_templates_get_caps(loaded->impl_->templates.get());
    loaded->impl_->knows_tools = caps["supports_tools"] && caps["supports_tool_calls"];
  } catch (const std::exception& failure) {
    return fail(
        ErrorCode::kFileInvalid,
        fmt::format("the model's chat template does not parse: {}", std::string_view{failure.what()}.substr(0, 200)),
        "give a template of your own");
  }
  loaded->impl_->vocab = std::make_unique<Vocab>(model);
  loaded->impl_->model = std::move(model);
  return loaded;
}

Result<RenderedChat> ChatTemplate::render(const ChatRequest& request) const {
  LLMD_TRY_VOID(check_shape("messages", request.messages_json));
  LLMD_TRY_VOID(check_shape("tools", request.tools_json));
  LLMD_TRY_VOID(check_shape("chat_template_kwargs", request.template_kwargs_json));
  LLMD_TRY(const std::string tools, chosen_tools(request));
  const bool with_tools = !tools.empty() && tools != "[]" && request.tool_choice != ChatRequest::ToolChoice::kNone;
  if (with_tools) LLMD_TRY_VOID(check_schema_size(tools));
  if (with_tools && !request.grammar.empty()) {
    return fail(ErrorCode::kInvalidRequest, "grammar and tools are both given; only one of them can shape the answer");
  }
  try {
    if (!with_tools) {
      common_chat_templates_inputs inputs = impl_->inputs(request, request.messages_json, {});
      const bool constrained = !request.grammar.empty() || !request.json_schema.empty();
      if (constrained) inputs.enable_thinking = false;  // the constraint holds from the first token on
      RenderedChat rendered = impl_->render_plain(request, std::move(inputs));
      if (request.prompt_only) return rendered;
      if (!request.grammar.empty()) {
        LLMD_TRY_VOID(check_gbnf(request.grammar));
        rendered.grammar = {.gbnf = request.grammar};
      } else if (!request.json_schema.empty()) {
        LLMD_TRY(std::string gbnf, schema_to_gbnf(request.json_schema));
        rendered.grammar = {.gbnf = std::move(gbnf)};
        rendered.parser = std::make_shared<ParserSetup>();  // the constrained text is the content
      }
      return rendered;
    }
    if (!impl_->knows_tools) return impl_->render_tool_lines(request, tools);
    // `common` makes prompt and grammar of one text, so the prompt shows the schemas as the grammar keeps them.
    LLMD_TRY(const std::string kept, lower_tools(tools));
    RenderedChat rendered = impl_->render_common(impl_->inputs(request, request.messages_json, kept));
    // Some templates render tools without a format that a grammar could force.
    const bool forced = request.tool_choice != ChatRequest::ToolChoice::kAuto;
    if (forced && rendered.grammar.gbnf.empty()) return impl_->render_tool_lines(request, tools);
    return rendered;
  } catch (const std::exception& failure) {
    return refused(failure);
  }
}

}  // namespace llmd::llamacpp
