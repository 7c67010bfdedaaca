#include "config/effective_yaml.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <variant>

#include "config/plugin_registry.h"

namespace llmd::config {
namespace {

using scheduling::Parameters;
using scheduling::ParameterValue;

/// A scalar in double quotes, as YAML and JSON read it.
std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out += '"';
}

/// Names of plugins and profiles mostly need no quotes.
std::string plain(std::string_view text) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || (c >= '0' && c <= '9');
  };
  bool simple = !text.empty() && !(text.front() >= '0' && text.front() <= '9') && text.front() != '-';
  for (const char c : text) simple = simple && is_plain(c);
  constexpr std::string_view kWords[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
  for (const std::string_view word : kWords) simple = simple && text != word;
  return simple ? std::string{text} : in_quotes(text);
}

/// Parameters by their first name, so that dotted ones become objects again.
class Tree {
 public:
  void add(std::string_view path, const ParameterValue& value) {
    const std::size_t dot = path.find('.');
    if (dot == std::string_view::npos) {
      nodes_[std::string{path}].value = &value;
    } else {
      auto& child = nodes_[std::string{path.substr(0, dot)}].child;
      if (child == nullptr) child = std::make_unique<Tree>();
      child->add(path.substr(dot + 1), value);
    }
  }
  [[nodiscard]] std::string flow() const;

 private:
  struct Node {
    const ParameterValue* value = nullptr;
    std::unique_ptr<Tree> child{};
  };
  std::map<std::string, Node> nodes_;
};

std::string flow_of(const Parameters& parameters) {
  Tree tree;
  for (const auto& [name, value] : parameters.values()) tree.add(name, value);
  return tree.flow();
}

struct FlowValue {
  std::string operator()(bool flag) const { return flag ? "true" : "false"; }
  std::string operator()(std::int64_t whole) const { return fmt::format("{}", whole); }
  std::string operator()(double number) const { return fmt::format("{}", number); }
  std::string operator()(const std::string& text) const { return in_quotes(text); }
  std::string operator()(const scheduling::TextList& texts) const {
    std::string out = "[";
    for (const std::string& text : texts) out += fmt::format("{}{}", out.size() > 1 ? ", " : "", in_quotes(text));
    return out += ']';
  }
  std::string operator()(const scheduling::TextMap& texts) const {
    std::string out = "{";
    for (const auto& [name, text] : texts)
      out += fmt::format("{}{}: {}", out.size() > 1 ? ", " : "", in_quotes(name), in_quotes(text));
    return out += '}';
  }
  std::string operator()(const scheduling::ObjectList& objects) const {
    std::string out = "[";
    for (const Parameters& each : objects) out += fmt::format("{}{}", out.size() > 1 ? ", " : "", flow_of(each));
    return out += ']';
  }
};

std::string Tree::flow() const {
  std::string out = "{";
  for (const auto& [name, node] : nodes_) {
    if (out.size() > 1) out += ", ";
    // Of an object that counts by being there the value is `true`.
    const bool object = node.value != nullptr && std::holds_alternative<bool>(*node.value) && node.child != nullptr;
    out += fmt::format("{}: {}", plain(name),
                       node.child != nullptr || object ? node.child->flow() : std::visit(FlowValue{}, *node.value));
  }
  return out += '}';
}

void write_plugin(const scheduling::PluginInstance& plugin, std::string& out) {
  const scheduling::PluginSpec* spec = find_plugin(plugin.type);
  out += fmt::format("- type: {}\n", plain(plugin.type));
  if (plugin.name != plugin.type) out += fmt::format("  name: {}\n", plain(plugin.name));
  Parameters shown;
  for (const auto& [name, value] : plugin.parameters.values()) {
    const scheduling::ParameterSpec* parameter = spec == nullptr ? nullptr : spec->find(name);
    const bool object = parameter != nullptr && parameter->type == scheduling::ParameterType::kObject;
    shown.set(name, object ? ParameterValue{scheduling::TextMap{}} : value);
  }
  if (!shown.values().empty()) out += fmt::format("  parameters: {}\n", flow_of(shown));
}

std::string duration_text(std::chrono::milliseconds duration) { return fmt::format("{}ms", duration.count()); }

std::string band_text(const flow::BandConfig& band) {
  return fmt::format("{{priority: {}, maxBytes: {}, maxRequests: {}, fairnessPolicyRef: {}, orderingPolicyRef: {}}}",
                     band.priority, band.bytes_max, band.requests_max, plain(band.fairness), plain(band.ordering));
}

void write_flow(const flow::FlowConfig& flow, std::string& out) {
  out += "flowControl:\n";
  if (flow.bytes_max > 0) out += fmt::format("  maxBytes: {}\n", flow.bytes_max);
  if (flow.requests_max > 0) out += fmt::format("  maxRequests: {}\n", flow.requests_max);
  out += fmt::format("  defaultRequestTTL: {}\n", duration_text(flow.ttl));
  out += fmt::format("  noEndpointRequestTTL: {}\n", duration_text(flow.ttl_no_endpoint.value_or(flow.ttl)));
  if (flow.default_band) out += fmt::format("  defaultPriorityBand: {}\n", band_text(*flow.default_band));
  if (flow.default_negative_band)
    out += fmt::format("  defaultNegativePriorityBand: {}\n", band_text(*flow.default_negative_band));
  if (!flow.bands.empty()) out += "  priorityBands:\n";
  for (const flow::BandConfig& band : flow.bands) out += fmt::format("  - {}\n", band_text(band));
  out += fmt::format("  usageLimitPolicyPluginRef: {}\n", plain(flow.usage_limit));
  out += fmt::format("  saturationDetector: {{pluginRef: {}}}\n", plain(flow.saturation_detector));
  out += fmt::format("  enableEviction: {}\n", flow.eviction);
}

void write_data_layer(const DataLayerConfig& layer, std::string& out) {
  out += fmt::format("dataLayer:\n  injectDefaults: {}\n", layer.inject_defaults);
  if (!layer.sources.empty()) out += "  sources:\n";
  for (const DataLayerConfig::Source& source : layer.sources) {
    out += fmt::format("  - pluginRef: {}\n", plain(source.source));
    if (!source.extractors.empty()) out += "    extractors:\n";
    for (const std::string& extractor : source.extractors)
      out += fmt::format("    - pluginRef: {}\n", plain(extractor));
  }
  if (!layer.discovery.empty()) out += fmt::format("  discovery: {{pluginRef: {}}}\n", plain(layer.discovery));
  if (!layer.peer_discovery.empty())
    out += fmt::format("  peerDiscovery: {{pluginRef: {}}}\n", plain(layer.peer_discovery));
  if (!layer.syncer.empty()) out += fmt::format("  crossReplicaSyncerPluginRef: {}\n", plain(layer.syncer));
}

}  // namespace

std::string effective_yaml(const EndpointPickerConfig& config) {
  std::string out = "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n";
  out += fmt::format("featureGates: [flowControl={}]\nplugins:\n", config.flow.enabled);
  for (const auto* list : {&config.scheduling.plugins, &config.flow.policies, &config.scheduling.others}) {
    for (const scheduling::PluginInstance& plugin : *list) write_plugin(plugin, out);
  }
  out += "schedulingProfiles:\n";
  for (const scheduling::ProfileConfig& profile : config.scheduling.profiles) {
    out += fmt::format("- name: {}\n  plugins:\n", plain(profile.name));
    for (const scheduling::PluginRef& ref : profile.plugins)
      out += fmt::format("  - {{pluginRef: {}, weight: {}}}\n", plain(ref.plugin), ref.weight);
  }
  if (!config.parsers.empty()) out += "requestHandler:\n  parsers:\n";
  for (const std::string& parser : config.parsers) out += fmt::format("  - pluginRef: {}\n", plain(parser));
  write_data_layer(config.data_layer, out);
  write_flow(config.flow, out);
  return out;
}

}  // namespace llmd::config
