#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/object_decoder.h"
#include "config/yaml_tree.h"
#include "scheduling/config.h"
#include "scheduling/plugin_spec.h"

namespace llmd::config {

/// A plugin of the document, with where it stands.
struct DecodedPlugin {
  scheduling::PluginInstance instance;
  const scheduling::PluginSpec* spec;
  const YamlNode* node;  // null: a default that the document does not name
};

/// A place that names a plugin: checked when all plugins are known.
struct PluginReference {
  const YamlNode* node;
  std::string plugin;
  std::string field;                            // for errors: "saturationDetector: pluginRef"
  std::vector<scheduling::PluginKind> kinds{};  // one of these; empty: any
};

/// What the decoders of one document share.
struct DecodeContext {
  explicit DecodeContext(std::string_view source_name) : source{source_name}, decoder{source_name} {}

  /// "source:line:column: what", for the log.
  [[nodiscard]] std::string at(const YamlNode& node, std::string_view what) const;
  /// Decodes `{pluginRef: NAME}`, whose reference is checked at the end. An empty name is an error unless it may miss.
  [[nodiscard]] Result<void> plugin_ref(const YamlNode& node, std::string_view field,
                                        std::vector<scheduling::PluginKind> kinds, std::string& name);
  /// A text that names a plugin, or nothing.
  [[nodiscard]] Result<void> plugin_name(const YamlNode& node, std::string_view field,
                                         std::vector<scheduling::PluginKind> kinds, std::string& name);
  /// Error kConfigInvalid at the first reference that leads nowhere, or to a plugin of another kind.
  [[nodiscard]] Result<void> check_references() const;
  [[nodiscard]] const DecodedPlugin* find(std::string_view plugin) const;

  std::string_view source;
  ObjectDecoder decoder;
  std::vector<DecodedPlugin> plugins{};
  std::vector<PluginReference> references{};
  std::vector<std::string> warnings{};
  std::vector<std::string> waits{};
};

}  // namespace llmd::config
