#include "config/plugin_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/plugin_registry.h"
#include "scheduling/nearest_name.h"

namespace llmd::config {
namespace {

using scheduling::ParameterSpec;
using scheduling::ParameterType;
using scheduling::ParameterValue;
using scheduling::PluginSpec;
using scheduling::Support;

/// Decodes the parameters of one plugin. `owner` begins its errors: the type, or where in its parameters.
class ParameterDecoder {
 public:
  ParameterDecoder(DecodeContext& context, std::string owner) : context_{context}, owner_{std::move(owner)} {}

  Result<void> decode(const YamlNode& node, std::span<const ParameterSpec> specs, const std::string& prefix,
                      scheduling::Parameters& parameters);

 private:
  Result<void> one(const YamlNode& key, const YamlNode& value, std::span<const ParameterSpec> specs,
                   const std::string& name, scheduling::Parameters& parameters);
  Result<ParameterValue> value_of(const YamlNode& node, const ParameterSpec& parameter);
  Result<ParameterValue> text_list(const YamlNode& node, const ParameterSpec& parameter) const;
  Result<ParameterValue> text_map(const YamlNode& node, const ParameterSpec& parameter) const;
  Result<ParameterValue> object_list(const YamlNode& node, const ParameterSpec& parameter);
  void note_support(const YamlNode& key, const ParameterSpec& parameter, const ParameterValue& value);

  DecodeContext& context_;
  std::string owner_;
};

Result<void> ParameterDecoder::decode(const YamlNode& node, std::span<const ParameterSpec> specs,
                                      const std::string& prefix, scheduling::Parameters& parameters) {
  const std::string place =
      prefix.empty() ? fmt::format("parameters of {}", owner_) : fmt::format("{}: {}", owner_, prefix);
  if (node.kind == YamlNode::Kind::kNull) return {};
  if (node.kind != YamlNode::Kind::kMap) return context_.decoder.object(node, place, {});
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const std::string name = prefix.empty() ? node.keys[i].text : fmt::format("{}.{}", prefix, node.keys[i].text);
    LLMD_TRY_VOID(one(node.keys[i], node.items[i], specs, name, parameters));
  }
  return {};
}

Result<void> ParameterDecoder::one(const YamlNode& key, const YamlNode& value, std::span<const ParameterSpec> specs,
                                   const std::string& name, scheduling::Parameters& parameters) {
  const bool is_group = std::ranges::any_of(specs, [&](const ParameterSpec& each) {
    return each.name.size() > name.size() && each.name.starts_with(name) && each.name[name.size()] == '.';
  });
  const auto parameter = std::ranges::find(specs, name, &ParameterSpec::name);
  if (is_group) {
    // An object may count by being there, beside what it holds.
    if (parameter != specs.end()) {
      note_support(key, *parameter, true);
      parameters.set(name, true);
    }
    return decode(value, specs, name, parameters);
  }
  if (parameter == specs.end()) {
    const Error unknown = scheduling::unknown_parameter(owner_, specs, name);
    return context_.decoder.fail_at(key, unknown.what, unknown.hint);
  }
  if (parameters.find(name) != nullptr)
    return context_.decoder.fail_at(key, fmt::format("{}: parameter \"{}\" is given twice", owner_, name));
  if (value.kind == YamlNode::Kind::kNull && parameter->type != ParameterType::kObject) return {};
  LLMD_TRY(ParameterValue converted, value_of(value, *parameter));
  if (const Result<void> checked = scheduling::check_parameter(owner_, *parameter, converted); !checked)
    return context_.decoder.fail_at(value, checked.error().what, checked.error().hint);
  note_support(key, *parameter, converted);
  parameters.set(name, std::move(converted));
  return {};
}

Result<ParameterValue> ParameterDecoder::value_of(const YamlNode& node, const ParameterSpec& parameter) {
  const std::string what = fmt::format("{}: {}", owner_, parameter.name);
  switch (parameter.type) {
    case ParameterType::kBool: {
      LLMD_TRY(const bool flag, context_.decoder.flag(node, what));
      return ParameterValue{flag};
    }
    case ParameterType::kInteger: {
      LLMD_TRY(const std::int64_t whole, context_.decoder.integer(node, what));
      return ParameterValue{whole};
    }
    case ParameterType::kNumber: {
      LLMD_TRY(const double number, context_.decoder.number(node, what));
      return ParameterValue{number};
    }
    case ParameterType::kTextList: return text_list(node, parameter);
    case ParameterType::kTextMap: return text_map(node, parameter);
    case ParameterType::kObject: LLMD_TRY_VOID(context_.decoder.object(node, what, {})); return ParameterValue{true};
    case ParameterType::kObjectList: return object_list(node, parameter);
    case ParameterType::kText:
    case ParameterType::kDuration: break;
  }
  LLMD_TRY(std::string text, context_.decoder.text(node, what));
  return ParameterValue{std::move(text)};
}

Result<ParameterValue> ParameterDecoder::text_list(const YamlNode& node, const ParameterSpec& parameter) const {
  scheduling::TextList texts;
  LLMD_TRY_VOID(context_.decoder.sequence(node, parameter.name, [&](const YamlNode& item) -> Result<void> {
    LLMD_TRY(std::string text, context_.decoder.text(item, parameter.name));
    texts.push_back(std::move(text));
    return {};
  }));
  return ParameterValue{std::move(texts)};
}

Result<ParameterValue> ParameterDecoder::text_map(const YamlNode& node, const ParameterSpec& parameter) const {
  scheduling::TextMap texts;
  if (node.kind != YamlNode::Kind::kMap) {
    LLMD_TRY_VOID(context_.decoder.object(node, parameter.name, {}));
    return ParameterValue{std::move(texts)};
  }
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    LLMD_TRY(std::string text, context_.decoder.text(node.items[i], fmt::format("{}: {}", owner_, parameter.name)));
    if (!texts.emplace(node.keys[i].text, std::move(text)).second) {
      return context_.decoder.fail_at(node.keys[i], fmt::format("{}: {} has \"{}\" twice", owner_, parameter.name,
                                                                node.keys[i].text.substr(0, 64)));
    }
  }
  return ParameterValue{std::move(texts)};
}

Result<ParameterValue> ParameterDecoder::object_list(const YamlNode& node, const ParameterSpec& parameter) {
  scheduling::ObjectList objects;
  ParameterDecoder inner{context_, fmt::format("{}: {}", owner_, parameter.name)};
  LLMD_TRY_VOID(context_.decoder.sequence(node, inner.owner_, [&](const YamlNode& item) -> Result<void> {
    return inner.decode(item, parameter.fields, "", objects.emplace_back());
  }));
  return ParameterValue{std::move(objects)};
}

bool is_default(const ParameterSpec& parameter, const ParameterValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag == (parameter.number != 0);
  if (const auto* text = std::get_if<std::string>(&value)) return text->empty() || *text == parameter.text;
  if (const auto* number = std::get_if<double>(&value)) return *number == parameter.number;
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return static_cast<double>(*whole) == parameter.number;
  return false;
}

void ParameterDecoder::note_support(const YamlNode& key, const ParameterSpec& parameter, const ParameterValue& value) {
  if (parameter.support != Support::kWaits || is_default(parameter, value)) return;
  context_.waits.push_back(
      context_.at(key, fmt::format("{}: {} is not supported by this version", owner_, parameter.name)));
}

void note_plugin_support(const YamlNode& node, const PluginSpec& spec, DecodeContext& context) {
  if (spec.stability == scheduling::Stability::kDeprecated)
    context.warnings.push_back(context.at(node, fmt::format("plugin type {} is deprecated", spec.type)));
  if (spec.support == Support::kWaits)
    context.waits.push_back(
        context.at(node, fmt::format("plugin type {} is not supported by this version", spec.type)));
}

Result<const PluginSpec*> find_type(const YamlNode& node, std::string_view type, PluginDecoderOptions options,
                                    const DecodeContext& context) {
  const PluginSpec* spec = find_plugin(type);
  if (spec == nullptr) {
    std::vector<std::string_view> types;
    for (const PluginSpec* each : all_plugins()) types.push_back(each->type);
    return context.decoder.fail_at(node, fmt::format("plugin type \"{}\" is not known", type.substr(0, 64)),
                                   scheduling::nearest_name_hint(type, types));
  }
  if (spec->stability == scheduling::Stability::kAlpha && !options.allow_experimental) {
    return context.decoder.fail_at(node, fmt::format("plugin type {} is experimental", type),
                                   "pass --allow-experimental-plugins to use it");
  }
  return spec;
}

}  // namespace

Result<void> decode_plugin(const YamlNode& node, PluginDecoderOptions options, DecodeContext& context) {
  scheduling::PluginInstance instance;
  const YamlNode* type_node = &node;
  const YamlNode* parameters_node = nullptr;
  const ObjectDecoder& decoder = context.decoder;
  const FieldDecoder fields[] = {
      {"name",
       [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(instance.name, decoder.text(value, "a plugin's name"));
         return {};
       }},
      {"type",
       [&](const YamlNode& value) -> Result<void> {
         type_node = &value;
         LLMD_TRY(instance.type, decoder.text(value, "a plugin's type"));
         return {};
       }},
      {"parameters",
       [&](const YamlNode& value) -> Result<void> {
         parameters_node = &value;
         return {};
       }},
  };
  LLMD_TRY_VOID(decoder.object(node, "a plugin", fields));
  if (instance.type.empty()) return decoder.fail_at(node, "a plugin has no type");
  LLMD_TRY(const PluginSpec* spec, find_type(*type_node, instance.type, options, context));
  if (instance.name.empty()) instance.name = instance.type;
  if (context.find(instance.name) != nullptr) {
    return decoder.fail_at(node, fmt::format("two plugins are named \"{}\"", instance.name.substr(0, 64)),
                           "give one of them another name; the name defaults to the type");
  }
  if (parameters_node != nullptr) {
    ParameterDecoder parameters{context, std::string{spec->type}};
    LLMD_TRY_VOID(parameters.decode(*parameters_node, spec->parameters, "", instance.parameters));
  }
  note_plugin_support(*type_node, *spec, context);
  context.plugins.push_back({std::move(instance), spec, &node});
  return {};
}

Result<void> check_plugins(const scheduling::SchedulingConfig& config, const DecodeContext& context) {
  for (const DecodedPlugin& plugin : context.plugins) {
    const auto& parameters = plugin.instance.parameters;
    Result<void> checked = scheduling::check_parameters(plugin.spec->type, plugin.spec->parameters, parameters);
    if (checked && plugin.spec->make != nullptr) {
      auto made = plugin.spec->make({plugin.spec->parameters, parameters, &config});
      if (!made) checked = std::unexpected(std::move(made).error());
    }
    if (!checked && plugin.node != nullptr)
      return context.decoder.fail_at(*plugin.node, checked.error().what, checked.error().hint);
  }
  return {};
}

}  // namespace llmd::config
