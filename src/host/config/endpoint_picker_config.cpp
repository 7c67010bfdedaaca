#include "config/endpoint_picker_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "config/data_layer_decoder.h"
#include "config/decode_context.h"
#include "config/flow_decoder.h"
#include "config/plugin_decoder.h"
#include "config/plugin_registry.h"
#include "config/read_file.h"
#include "config/request_plugins.h"
#include "config/yaml_tree.h"
#include "scheduling/nearest_name.h"
#include "scheduling/plugin_spec.h"
#include "scheduling/scheduler.h"

namespace llmd::config {
namespace {

using scheduling::PluginKind;

constexpr std::string_view kKind = "EndpointPickerConfig";
constexpr std::string_view kApiVersion = "llm-d.ai/v1alpha1";
constexpr std::string_view kOldApiVersion = "inference.networking.x-k8s.io/v1alpha1";
constexpr std::string_view kProfileReference = "pluginRef";
constexpr std::string_view kMetricsSource = "metrics-data-source";
constexpr std::string_view kMetricsExtractor = "core-metrics-extractor";
constexpr std::array<std::string_view, 2> kFeatureGates{"flowControl", "haPopulateNonLeaderDatastore"};

/// Decodes one document. What refers to plugins is checked when all are known.
class ConfigDecoder {
 public:
  ConfigDecoder(std::string_view source, ConfigOptions options) : options_{options}, context_{source} {}

  Result<EndpointPickerConfig> decode(const YamlNode& root);

 private:
  Result<void> document(const YamlNode& root);
  Result<void> api_version(const YamlNode& node);
  Result<void> kind(const YamlNode& node);
  Result<void> feature_gate(const YamlNode& node);
  Result<void> profile(const YamlNode& node);
  Result<void> profile_plugin(const YamlNode& node, scheduling::ProfileConfig& profile);
  Result<void> data_layer(const YamlNode& node);
  Result<void> data_source(const YamlNode& node);
  Result<void> request_handler(const YamlNode& node);
  Result<void> parser(const YamlNode& node);
  Result<void> deprecated(const YamlNode& node, std::string_view field, std::string_view replacement);
  Result<void> check();
  void add_defaults();
  void warn_of_idle_references();
  void sort_plugins();
  void check_flow_control();
  [[nodiscard]] const YamlNode* place_of(std::string_view what) const;
  Result<void> make_scheduler();

  ConfigOptions options_;
  DecodeContext context_;
  EndpointPickerConfig config_;
  std::map<std::string, bool, std::less<>> gates_;
  std::set<std::string> profile_names_;
  const YamlNode* flow_node_ = nullptr;
  bool has_api_version_ = false;
  bool has_kind_ = false;
  std::string old_detector_;
  std::string old_parser_;
};

Result<void> ConfigDecoder::document(const YamlNode& root) {
  const ObjectDecoder& decoder = context_.decoder;
  const auto list = [&](std::string_view name, Result<void> (ConfigDecoder::*item)(const YamlNode&)) {
    return FieldDecoder{name, [this, name, item, &decoder](const YamlNode& node) {
                          return decoder.sequence(node, name,
                                                  [this, item](const YamlNode& each) { return (this->*item)(each); });
                        }};
  };
  const auto one = [&](std::string_view name, Result<void> (ConfigDecoder::*field)(const YamlNode&)) {
    return FieldDecoder{name, [this, field](const YamlNode& node) { return (this->*field)(node); }};
  };
  const FieldDecoder fields[] = {
      one("apiVersion", &ConfigDecoder::api_version),
      one("kind", &ConfigDecoder::kind),
      list("featureGates", &ConfigDecoder::feature_gate),
      {"plugins",
       [&](const YamlNode& node) {
         return decoder.sequence(node, "plugins", [this](const YamlNode& item) {
           return decode_plugin(item, {.allow_experimental = options_.allow_experimental}, context_);
         });
       }},
      list("schedulingProfiles", &ConfigDecoder::profile),
      one("dataLayer", &ConfigDecoder::data_layer),
      {"flowControl",
       [&](const YamlNode& node) {
         flow_node_ = &node;
         return decode_flow_control(node, context_, config_.flow);
       }},
      one("requestHandler", &ConfigDecoder::request_handler),
      {"saturationDetector",
       [&](const YamlNode& node) -> Result<void> {
         LLMD_TRY_VOID(deprecated(node, "saturationDetector", "flowControl.saturationDetector"));
         return context_.plugin_ref(node, "saturationDetector", {PluginKind::kSaturationDetector}, old_detector_);
       }},
      {"parser",
       [&](const YamlNode& node) -> Result<void> {
         LLMD_TRY_VOID(deprecated(node, "parser", "requestHandler.parsers"));
         return context_.plugin_ref(node, "parser", {PluginKind::kParser}, old_parser_);
       }},
  };
  return decoder.object(root, "the configuration", fields);
}

Result<EndpointPickerConfig> ConfigDecoder::decode(const YamlNode& root) {
  LLMD_TRY_VOID(document(root));
  const ObjectDecoder& decoder = context_.decoder;
  if (!has_api_version_)
    return decoder.fail_at(root, "apiVersion is missing", fmt::format("add apiVersion: {}", kApiVersion));
  if (!has_kind_) return decoder.fail_at(root, "kind is missing", fmt::format("add kind: {}", kKind));
  // The newer place wins where both are used.
  if (!old_detector_.empty() && config_.flow.saturation_detector == flow::FlowConfig{}.saturation_detector)
    config_.flow.saturation_detector = old_detector_;
  if (!old_parser_.empty() && config_.parsers.empty()) config_.parsers.push_back(old_parser_);
  LLMD_TRY_VOID(check());
  config_.warnings = std::move(context_.warnings);
  config_.waits = std::move(context_.waits);
  return std::move(config_);
}

Result<void> ConfigDecoder::api_version(const YamlNode& node) {
  LLMD_TRY(const std::string version, context_.decoder.text(node, "apiVersion"));
  has_api_version_ = true;
  if (version == kApiVersion) return {};
  if (version == kOldApiVersion) {
    context_.warnings.push_back(
        context_.at(node, fmt::format("apiVersion {} is deprecated; write {}", version, kApiVersion)));
    return {};
  }
  return context_.decoder.fail_at(
      node, fmt::format("apiVersion is \"{}\"; expected {} or {}", version.substr(0, 64), kApiVersion, kOldApiVersion));
}

Result<void> ConfigDecoder::kind(const YamlNode& node) {
  LLMD_TRY(const std::string kind, context_.decoder.text(node, "kind"));
  has_kind_ = true;
  if (kind != kKind)
    return context_.decoder.fail_at(node, fmt::format("kind is \"{}\"; expected {}", kind.substr(0, 64), kKind));
  return {};
}

/// As Go's ParseBool reads it after lower-casing.
std::optional<bool> gate_value(std::string_view text) {
  constexpr std::string_view kYes[] = {"1", "t", "true"};
  constexpr std::string_view kNo[] = {"0", "f", "false"};
  if (std::ranges::find(kYes, text) != std::end(kYes)) return true;
  if (std::ranges::find(kNo, text) != std::end(kNo)) return false;
  return std::nullopt;
}

Result<void> ConfigDecoder::feature_gate(const YamlNode& node) {
  LLMD_TRY(const std::string text, context_.decoder.text(node, "a feature gate"));
  const std::string_view gate = text;
  const std::size_t equals = gate.find('=');
  const std::string_view name = gate.substr(0, equals);
  const std::string_view value = equals == std::string_view::npos ? "true" : gate.substr(equals + 1);
  if (std::ranges::find(kFeatureGates, name) == kFeatureGates.end()) {
    return context_.decoder.fail_at(node, fmt::format("feature gate \"{}\" is not known", name.substr(0, 64)),
                                    scheduling::nearest_name_hint(name, kFeatureGates));
  }
  std::string lower{value};
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const std::optional<bool> flag = gate_value(lower);
  if (!flag) {
    return context_.decoder.fail_at(
        node, fmt::format("feature gate {} is \"{}\"; expected true or false", name, value.substr(0, 64)));
  }
  gates_.insert_or_assign(std::string{name}, *flag);
  if (name == kFeatureGates[0]) config_.flow.enabled = *flag;
  return {};
}

Result<void> ConfigDecoder::deprecated(const YamlNode& node, std::string_view field, std::string_view replacement) {
  context_.warnings.push_back(context_.at(node, fmt::format("{} is deprecated; write {}", field, replacement)));
  return {};
}

Result<void> ConfigDecoder::profile(const YamlNode& node) {
  scheduling::ProfileConfig profile;
  const YamlNode* name_node = &node;
  const FieldDecoder fields[] = {
      {"name",
       [&](const YamlNode& value) -> Result<void> {
         name_node = &value;
         LLMD_TRY(profile.name, context_.decoder.text(value, "a profile's name"));
         return {};
       }},
      {"plugins",
       [&](const YamlNode& value) {
         return context_.decoder.sequence(value, "a profile's plugins",
                                          [&](const YamlNode& item) { return profile_plugin(item, profile); });
       }},
  };
  LLMD_TRY_VOID(context_.decoder.object(node, "a scheduling profile", fields));
  if (profile.name.empty()) return context_.decoder.fail_at(*name_node, "a scheduling profile has no name");
  if (!profile_names_.insert(profile.name).second) {
    return context_.decoder.fail_at(
        *name_node, fmt::format("two scheduling profiles are named \"{}\"", profile.name.substr(0, 64)));
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
         return context_.plugin_name(value, kProfileReference, {}, ref.plugin);
       }},
      {"weight",
       [&](const YamlNode& value) -> Result<void> {
         if (value.kind == YamlNode::Kind::kNull) return {};
         LLMD_TRY(ref.weight, context_.decoder.number(value, "weight"));
         return {};
       }},
  };
  LLMD_TRY_VOID(context_.decoder.object(node, "a profile's plugin", fields));
  if (ref.plugin.empty()) return context_.decoder.fail_at(*ref_node, "a profile's plugin has no pluginRef");
  profile.plugins.push_back(std::move(ref));
  return {};
}

Result<void> ConfigDecoder::data_source(const YamlNode& node) {
  DataLayerConfig::Source source;
  const ObjectDecoder& decoder = context_.decoder;
  const FieldDecoder fields[] = {
      {"pluginRef",
       [&](const YamlNode& value) {
         return context_.plugin_name(value, "dataLayer.sources: pluginRef", {PluginKind::kDataSource}, source.source);
       }},
      {"extractors",
       [&](const YamlNode& value) {
         return decoder.sequence(value, "extractors", [&](const YamlNode& item) -> Result<void> {
           std::string extractor;
           LLMD_TRY_VOID(context_.plugin_ref(item, "extractors", {}, extractor));
           if (extractor.empty()) return context_.decoder.fail_at(item, "an extractor has no pluginRef");
           source.extractors.push_back(std::move(extractor));
           return {};
         });
       }},
  };
  LLMD_TRY_VOID(decoder.object(node, "a data source", fields));
  if (source.source.empty()) return decoder.fail_at(node, "a data source has no pluginRef");
  config_.data_layer.sources.push_back(std::move(source));
  return {};
}

Result<void> ConfigDecoder::data_layer(const YamlNode& node) {
  DataLayerConfig& layer = config_.data_layer;
  const ObjectDecoder& decoder = context_.decoder;
  const auto waits = [this](const YamlNode& at, std::string_view field) {
    context_.waits.push_back(context_.at(at, fmt::format("dataLayer.{} is not supported by this version", field)));
  };
  const FieldDecoder fields[] = {
      {"injectDefaults",
       [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(layer.inject_defaults, decoder.flag(value, "injectDefaults"));
         return {};
       }},
      {"sources",
       [&](const YamlNode& value) {
         return decoder.sequence(value, "sources", [this](const YamlNode& item) { return data_source(item); });
       }},
      {"discovery",
       [&](const YamlNode& value) {
         return context_.plugin_ref(value, "discovery", {PluginKind::kDiscovery}, layer.discovery);
       }},
      {"peerDiscovery",
       [&](const YamlNode& value) {
         waits(value, "peerDiscovery");
         return context_.plugin_ref(value, "peerDiscovery", {PluginKind::kDiscovery}, layer.peer_discovery);
       }},
      {"crossReplicaSyncerPluginRef",
       [&](const YamlNode& value) {
         waits(value, "crossReplicaSyncerPluginRef");
         return context_.plugin_name(value, "crossReplicaSyncerPluginRef", {}, layer.syncer);
       }},
      {"crossReplicaSyncInterval",
       [&](const YamlNode& value) -> Result<void> {
         LLMD_TRY(const std::string text, decoder.text(value, "crossReplicaSyncInterval"));
         const auto interval = scheduling::parse_go_duration(text);
         if (!interval) {
           return decoder.fail_at(value,
                                  fmt::format("crossReplicaSyncInterval is \"{}\"; expected a duration such as 200ms",
                                              text.substr(0, 64)));
         }
         layer.sync_interval = *interval;
         return {};
       }},
  };
  return decoder.object(node, "dataLayer", fields);
}

Result<void> ConfigDecoder::parser(const YamlNode& node) {
  std::string name;
  LLMD_TRY_VOID(context_.plugin_ref(node, "parsers", {PluginKind::kParser}, name));
  if (name.empty()) return context_.decoder.fail_at(node, "a parser has no pluginRef");
  config_.parsers.push_back(std::move(name));
  return {};
}

Result<void> ConfigDecoder::request_handler(const YamlNode& node) {
  const FieldDecoder fields[] = {{"parsers", [&](const YamlNode& value) {
                                    return context_.decoder.sequence(
                                        value, "parsers", [this](const YamlNode& item) { return parser(item); });
                                  }}};
  return context_.decoder.object(node, "requestHandler", fields);
}

// As in llm-d: a parser that no plugin names but a type does is that type; default policies and the metrics source are
// always there.
void ConfigDecoder::add_defaults() {
  const auto add = [this](const std::string& name, PluginKind kind) {
    const scheduling::PluginSpec* spec = find_plugin(name);
    if (context_.find(name) == nullptr && spec != nullptr && spec->kind == kind)
      context_.plugins.push_back({{.name = name, .type = name}, spec, nullptr});
  };
  for (const PluginReference& reference : context_.references) {
    if (reference.kinds == std::vector{PluginKind::kParser}) add(reference.plugin, PluginKind::kParser);
  }
  add("fcfs-ordering-policy", PluginKind::kOrderingPolicy);
  add("global-strict-fairness-policy", PluginKind::kFairnessPolicy);
  add("static-usage-limit-policy", PluginKind::kUsageLimitPolicy);
  if (config_.data_layer.inject_defaults &&
      std::ranges::find(config_.data_layer.sources, kMetricsSource, &DataLayerConfig::Source::source) ==
          config_.data_layer.sources.end()) {
    add(std::string{kMetricsSource}, PluginKind::kDataSource);
    add(std::string{kMetricsExtractor}, PluginKind::kExtractor);
    config_.data_layer.sources.push_back({std::string{kMetricsSource}, {std::string{kMetricsExtractor}}});
  }
  // llm-d makes the detector only where one is asked for by its default name.
  if (config_.flow.saturation_detector == flow::FlowConfig{}.saturation_detector)
    add(config_.flow.saturation_detector, PluginKind::kSaturationDetector);
}

// As in llm-d, what has nothing to do in a profile is no error there.
void ConfigDecoder::warn_of_idle_references() {
  for (const PluginReference& reference : context_.references) {
    if (!reference.kinds.empty() || reference.field != kProfileReference) continue;
    const scheduling::PluginSpec& spec = *context_.find(reference.plugin)->spec;
    if (spec.kind <= PluginKind::kPicker || spec.kind == PluginKind::kSaturationDetector) continue;
    context_.warnings.push_back(
        context_.at(*reference.node, fmt::format("\"{}\" is {}, which does nothing in a profile", reference.plugin,
                                                 scheduling::a_plugin_kind(spec.kind))));
  }
}

// Each layer gets its own; those of the data layer stay beside, for plugins that look at their parameters.
void ConfigDecoder::sort_plugins() {
  for (const DecodedPlugin& plugin : context_.plugins) {
    const PluginKind kind = plugin.spec->kind;
    auto& list = kind <= PluginKind::kSaturationDetector ? config_.scheduling.plugins
                 : kind <= PluginKind::kEvictionPolicy   ? config_.flow.policies
                                                         : config_.scheduling.others;
    // A detector that nobody wrote down must not become a filter of the default profile.
    if (kind == PluginKind::kSaturationDetector && plugin.node == nullptr) continue;
    list.push_back(plugin.instance);
  }
}

void ConfigDecoder::check_flow_control() {
  if (config_.flow.enabled || flow_node_ == nullptr) return;
  const bool only_detector =
      std::ranges::all_of(flow_node_->keys, [](const YamlNode& key) { return key.text == "saturationDetector"; });
  if (!only_detector) {
    context_.warnings.push_back(context_.at(
        *flow_node_, "flowControl without feature gate flowControl: all but saturationDetector is ignored"));
  }
}

// The plugin that an error is about: the one whose type or name begins it, else the last that it names in quotes.
const YamlNode* ConfigDecoder::place_of(std::string_view what) const {
  const YamlNode* named = nullptr;
  for (const DecodedPlugin& plugin : context_.plugins) {
    if (plugin.node == nullptr) continue;
    for (const std::string_view begin : {std::string_view{plugin.instance.name}, plugin.spec->type}) {
      if (what.size() > begin.size() && what.starts_with(begin) &&
          (what[begin.size()] == ':' || what[begin.size()] == ' '))
        return plugin.node;
    }
    if (what.find(fmt::format("\"{}\"", plugin.instance.name)) != std::string_view::npos) named = plugin.node;
  }
  return named;
}

Result<void> ConfigDecoder::make_scheduler() {
  // What is left to find concerns the whole: kinds in places, handlers, deciders.
  auto scheduler = scheduling::Scheduler::make(config_.scheduling);
  if (!scheduler) {
    Error error = std::move(scheduler).error();
    const YamlNode* place = place_of(error.what);
    if (place != nullptr) return context_.decoder.fail_at(*place, error.what, std::move(error.hint));
    error.what = fmt::format("{}: {}", context_.source, error.what);
    return std::unexpected(std::move(error));
  }
  config_.scheduling = scheduler->config();
  return {};
}

Result<void> ConfigDecoder::check() {
  add_defaults();
  LLMD_TRY_VOID(context_.check_references());
  warn_of_idle_references();
  sort_plugins();
  LLMD_TRY_VOID(check_plugins(config_.scheduling, context_));
  LLMD_TRY_VOID(decode_request_plugins(context_, config_.request_plugins));
  LLMD_TRY_VOID(decode_data_sources(context_, config_.data_layer));
  check_flow_control();
  return make_scheduler();
}

}  // namespace

Result<EndpointPickerConfig> parse_endpoint_picker_config(std::string_view text, std::string_view source,
                                                          ConfigOptions options) {
  LLMD_TRY(const YamlNode root, parse_yaml(text, source));
  return ConfigDecoder{source, options}.decode(root);
}

Result<EndpointPickerConfig> load_endpoint_picker_config(const std::filesystem::path& path, ConfigOptions options) {
  LLMD_TRY(const std::string text, read_file(path, YamlLimits{}.bytes_max));
  return parse_endpoint_picker_config(text, path.string(), options);
}

Result<void> check_supported(const EndpointPickerConfig& config) {
  if (config.waits.empty()) return {};
  const std::size_t more = config.waits.size() - 1;
  return fail(ErrorCode::kConfigInvalid,
              more == 0 ? config.waits.front() : fmt::format("{} (and {} more)", config.waits.front(), more),
              "llmd config validate lists all; docs/plugins.md says what works");
}

}  // namespace llmd::config
