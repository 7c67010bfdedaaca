#include "config/endpoint_picker_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "config/object_decoder.h"
#include "config/read_file.h"
#include "config/yaml_tree.h"
#include "scheduling/nearest_name.h"
#include "scheduling/plugin_spec.h"
#include "scheduling/scheduler.h"

namespace llmd::config {
namespace {

using scheduling::ParameterSpec;
using scheduling::ParameterType;
using scheduling::ParameterValue;
using scheduling::PluginSpec;

constexpr std::string_view kKind = "EndpointPickerConfig";
constexpr std::string_view kApiVersion = "llm-d.ai/v1alpha1";
constexpr std::string_view kOldApiVersion = "inference.networking.x-k8s.io/v1alpha1";
constexpr std::array<std::string_view, 2> kFeatureGates{"flowControl", "haPopulateNonLeaderDatastore"};

/// Decodes one document. The nodes of references are kept until all plugins are known.
class ConfigDecoder {
 public:
  explicit ConfigDecoder(std::string_view source) : source_{source}, decoder_{source} {}

  Result<EndpointPickerConfig> decode(const YamlNode& root);

 private:
  struct Reference {
    const YamlNode* node;
    std::string plugin;
  };

  Result<void> api_version(const YamlNode& node);
  Result<void> kind(const YamlNode& node);
  Result<void> feature_gate(const YamlNode& node);
  Result<void> unsupported(const YamlNode& node, std::string_view field) const;
  Result<void> plugin(const YamlNode& node);
  Result<void> parameters(const YamlNode& node, const PluginSpec& spec, const std::string& prefix,
                          scheduling::Parameters& parameters);
  Result<ParameterValue> parameter_value(const YamlNode& node, const ParameterSpec& parameter) const;
  Result<void> profile(const YamlNode& node);
  Result<void> profile_plugin(const YamlNode& node, scheduling::ProfileConfig& profile);
  Result<void> check_references() const;

  std::string_view source_;
  ObjectDecoder decoder_;
  EndpointPickerConfig config_;
  std::set<std::string> profile_names_;
  std::vector<Reference> references_;
  bool has_api_version_ = false;
  bool has_kind_ = false;
};

Result<EndpointPickerConfig> ConfigDecoder::decode(const YamlNode& root) {
  const auto unbuilt = [this](std::string_view field) {
    return FieldDecoder{field, [this, field](const YamlNode& node) { return unsupported(node, field); }};
  };
  const FieldDecoder fields[] = {
      {"apiVersion", [this](const YamlNode& node) { return api_version(node); }},
      {"kind", [this](const YamlNode& node) { return kind(node); }},
      {"featureGates",
       [this](const YamlNode& node) {
         return decoder_.sequence(node, "featureGates", [this](const YamlNode& item) { return feature_gate(item); });
       }},
      {"plugins",
       [this](const YamlNode& node) {
         return decoder_.sequence(node, "plugins", [this](const YamlNode& item) { return plugin(item); });
       }},
      {"schedulingProfiles",
       [this](const YamlNode& node) {
         return decoder_.sequence(node, "schedulingProfiles", [this](const YamlNode& item) { return profile(item); });
       }},
      unbuilt("dataLayer"),
      unbuilt("flowControl"),
      unbuilt("requestHandler"),
      unbuilt("saturationDetector"),
      unbuilt("parser"),
  };
  LLMD_TRY_VOID(decoder_.object(root, "the configuration", fields));
  if (!has_api_version_)
    return decoder_.fail_at(root, "apiVersion is missing", fmt::format("add apiVersion: {}", kApiVersion));
  if (!has_kind_) return decoder_.fail_at(root, "kind is missing", fmt::format("add kind: {}", kKind));
  LLMD_TRY_VOID(check_references());
  // What is left to find concerns the whole: kinds in places, handlers, deciders.
  auto scheduler = scheduling::Scheduler::make(config_.scheduling);
  if (!scheduler) {
    Error error = std::move(scheduler).error();
    error.what = fmt::format("{}: {}", source_, error.what);
    return std::unexpected(std::move(error));
  }
  config_.scheduling = scheduler->config();
  return std::move(config_);
}

Result<void> ConfigDecoder::api_version(const YamlNode& node) {
  LLMD_TRY(const std::string version, decoder_.text(node, "apiVersion"));
  has_api_version_ = true;
  if (version == kApiVersion) return {};
  if (version == kOldApiVersion) {
    config_.warnings.push_back(fmt::format("{}:{}:{}: apiVersion {} is deprecated; write {}", source_, node.line,
                                           node.column, version, kApiVersion));
    return {};
  }
  return decoder_.fail_at(
      node, fmt::format("apiVersion is \"{}\"; expected {} or {}", version.substr(0, 64), kApiVersion, kOldApiVersion));
}

Result<void> ConfigDecoder::kind(const YamlNode& node) {
  LLMD_TRY(const std::string kind, decoder_.text(node, "kind"));
  has_kind_ = true;
  if (kind != kKind)
    return decoder_.fail_at(node, fmt::format("kind is \"{}\"; expected {}", kind.substr(0, 64), kKind));
  return {};
}

Result<void> ConfigDecoder::feature_gate(const YamlNode& node) {
  LLMD_TRY(const std::string text, decoder_.text(node, "a feature gate"));
  const std::string_view gate = text;
  const std::size_t equals = gate.find('=');
  const std::string_view name = gate.substr(0, equals);
  const std::string_view value = equals == std::string_view::npos ? "true" : gate.substr(equals + 1);
  if (std::find(kFeatureGates.begin(), kFeatureGates.end(), name) == kFeatureGates.end()) {
    return decoder_.fail_at(node, fmt::format("feature gate \"{}\" is not known", name.substr(0, 64)),
                            scheduling::nearest_name_hint(name, kFeatureGates));
  }
  if (value != "true" && value != "false") {
    return decoder_.fail_at(
        node, fmt::format("feature gate {} is \"{}\"; expected true or false", name, value.substr(0, 64)));
  }
  if (name == "flowControl" && value == "true") return unsupported(node, "feature gate flowControl");
  return {};
}

Result<void> ConfigDecoder::unsupported(const YamlNode& node, std::string_view field) const {
  return decoder_.fail_at(node, fmt::format("{} is not supported by this version", field),
                          "remove it, or see docs for what works today");
}

Result<void> ConfigDecoder::plugin(const YamlNode& node) {
  scheduling::PluginInstance instance;
  const YamlNode* type_node = &node;
  const YamlNode* parameters_node = nullptr;
  const FieldDecoder fields[] = {
      {"name",
       [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(instance.name, decoder_.text(value, "a plugin's name"));
         return {};
       }},
      {"type",
       [&](const YamlNode& value) -> Result<void> {
         type_node = &value;
         LLMD_TRY(instance.type, decoder_.text(value, "a plugin's type"));
         return {};
       }},
      {"parameters",
       [&](const YamlNode& value) -> Result<void> {
         parameters_node = &value;
         return {};
       }},
  };
  LLMD_TRY_VOID(decoder_.object(node, "a plugin", fields));
  if (instance.type.empty()) return decoder_.fail_at(node, "a plugin has no type");
  const PluginSpec* spec = scheduling::find_plugin_spec(instance.type);
  if (spec == nullptr) {
    std::vector<std::string_view> types;
    for (const PluginSpec* each : scheduling::plugin_specs()) types.push_back(each->type);
    return decoder_.fail_at(*type_node, fmt::format("plugin type \"{}\" is not known", instance.type.substr(0, 64)),
                            scheduling::nearest_name_hint(instance.type, types));
  }
  if (instance.name.empty()) instance.name = instance.type;
  const auto& others = config_.scheduling.plugins;
  if (std::any_of(others.begin(), others.end(), [&](const auto& other) { return other.name == instance.name; })) {
    return decoder_.fail_at(node, fmt::format("two plugins are named \"{}\"", instance.name.substr(0, 64)),
                            "give one of them another name; the name defaults to the type");
  }
  if (parameters_node != nullptr) LLMD_TRY_VOID(parameters(*parameters_node, *spec, "", instance.parameters));
  config_.scheduling.plugins.push_back(std::move(instance));
  return {};
}

Result<void> ConfigDecoder::parameters(const YamlNode& node, const PluginSpec& spec, const std::string& prefix,
                                       scheduling::Parameters& parameters) {
  const std::string place =
      prefix.empty() ? fmt::format("parameters of {}", spec.type) : fmt::format("{}: {}", spec.type, prefix);
  if (node.kind != YamlNode::Kind::kNull && node.kind != YamlNode::Kind::kMap) return decoder_.object(node, place, {});
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const YamlNode& key = node.keys[i];
    const YamlNode& value = node.items[i];
    const std::string name = prefix.empty() ? key.text : fmt::format("{}.{}", prefix, key.text);
    const bool is_group = std::any_of(spec.parameters.begin(), spec.parameters.end(), [&](const ParameterSpec& each) {
      return each.name.size() > name.size() && each.name.starts_with(name) && each.name[name.size()] == '.';
    });
    if (is_group) {
      LLMD_TRY_VOID(this->parameters(value, spec, name, parameters));
      continue;
    }
    const ParameterSpec* parameter = spec.find(name);
    if (parameter == nullptr) {
      const Error unknown = scheduling::check_parameter(spec, name, ParameterValue{false}).error();
      return decoder_.fail_at(key, unknown.what, unknown.hint);
    }
    if (parameters.find(name) != nullptr)
      return decoder_.fail_at(key, fmt::format("{}: parameter \"{}\" is given twice", spec.type, name));
    if (value.kind == YamlNode::Kind::kNull) continue;
    LLMD_TRY(ParameterValue converted, parameter_value(value, *parameter));
    if (const Result<void> checked = scheduling::check_parameter(spec, name, converted); !checked) {
      return decoder_.fail_at(value, checked.error().what, checked.error().hint);
    }
    parameters.set(name, std::move(converted));
  }
  return {};
}

Result<ParameterValue> ConfigDecoder::parameter_value(const YamlNode& node, const ParameterSpec& parameter) const {
  switch (parameter.type) {
    case ParameterType::kBool: {
      LLMD_TRY(const bool flag, decoder_.flag(node, parameter.name));
      return ParameterValue{flag};
    }
    case ParameterType::kInteger: {
      LLMD_TRY(const std::int64_t whole, decoder_.integer(node, parameter.name));
      return ParameterValue{whole};
    }
    case ParameterType::kNumber: {
      LLMD_TRY(const double number, decoder_.number(node, parameter.name));
      return ParameterValue{number};
    }
    case ParameterType::kText: break;
  }
  LLMD_TRY(std::string text, decoder_.text(node, parameter.name));
  return ParameterValue{std::move(text)};
}

Result<void> ConfigDecoder::profile(const YamlNode& node) {
  scheduling::ProfileConfig profile;
  const YamlNode* name_node = &node;
  const FieldDecoder fields[] = {
      {"name",
       [&](const YamlNode& value) -> Result<void> {
         name_node = &value;
         LLMD_TRY(profile.name, decoder_.text(value, "a profile's name"));
         return {};
       }},
      {"plugins",
       [&](const YamlNode& value) {
         return decoder_.sequence(value, "a profile's plugins",
                                  [&](const YamlNode& item) { return profile_plugin(item, profile); });
       }},
  };
  LLMD_TRY_VOID(decoder_.object(node, "a scheduling profile", fields));
  if (profile.name.empty()) return decoder_.fail_at(*name_node, "a scheduling profile has no name");
  if (!profile_names_.insert(profile.name).second) {
    return decoder_.fail_at(*name_node,
                            fmt::format("two scheduling profiles are named \"{}\"", profile.name.substr(0, 64)));
  }
  config_.scheduling.profiles.push_back(std::move(profile));
  return {};
}

Result<void> ConfigDecoder::profile_plugin(const YamlNode& node, scheduling::ProfileConfig& profile) {
  scheduling::PluginRef ref;
  const YamlNode* ref_node = &node;
  const FieldDecoder fields[] = {
      {"pluginRef",
       [&](const YamlNode& value) -> Result<void> {
         ref_node = &value;
         LLMD_TRY(ref.plugin, decoder_.text(value, "pluginRef"));
         return {};
       }},
      {"weight",
       [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(ref.weight, decoder_.number(value, "weight"));
         return {};
       }},
  };
  LLMD_TRY_VOID(decoder_.object(node, "a profile's plugin", fields));
  if (ref.plugin.empty()) return decoder_.fail_at(*ref_node, "a profile's plugin has no pluginRef");
  references_.push_back({ref_node, ref.plugin});
  profile.plugins.push_back(std::move(ref));
  return {};
}

Result<void> ConfigDecoder::check_references() const {
  std::vector<std::string_view> names;
  for (const auto& plugin : config_.scheduling.plugins) names.push_back(plugin.name);
  for (const Reference& reference : references_) {
    if (std::find(names.begin(), names.end(), reference.plugin) != names.end()) continue;
    return decoder_.fail_at(*reference.node,
                            fmt::format("pluginRef \"{}\" names no configured plugin", reference.plugin.substr(0, 64)),
                            scheduling::nearest_name_hint(reference.plugin, names));
  }
  return {};
}

}  // namespace

Result<EndpointPickerConfig> parse_endpoint_picker_config(std::string_view text, std::string_view source) {
  LLMD_TRY(const YamlNode root, parse_yaml(text, source));
  return ConfigDecoder{source}.decode(root);
}

Result<EndpointPickerConfig> load_endpoint_picker_config(const std::filesystem::path& path) {
  LLMD_TRY(const std::string text, read_file(path, YamlLimits{}.bytes_max));
  return parse_endpoint_picker_config(text, path.string());
}

}  // namespace llmd::config
