#include "config/decode_context.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/plugin_registry.h"
#include "scheduling/nearest_name.h"

namespace llmd::config {

std::string DecodeContext::at(const YamlNode& node, std::string_view what) const {
  return fmt::format("{}:{}:{}: {}", source, node.line, node.column, what);
}

Result<void> DecodeContext::plugin_ref(const YamlNode& node, std::string_view field,
                                       std::vector<scheduling::PluginKind> kinds, std::string& name) {
  const FieldDecoder fields[] = {{"pluginRef", [&](const YamlNode& value) {
                                    return plugin_name(value, fmt::format("{}: pluginRef", field), kinds, name);
                                  }}};
  return decoder.object(node, field, fields);
}

Result<void> DecodeContext::plugin_name(const YamlNode& node, std::string_view field,
                                        std::vector<scheduling::PluginKind> kinds, std::string& name) {
  LLMD_TRY(name, decoder.text(node, field));
  if (!name.empty()) references.push_back({&node, name, std::string{field}, std::move(kinds)});
  return {};
}

const DecodedPlugin* DecodeContext::find(std::string_view plugin) const {
  const auto found = std::ranges::find(
      plugins, plugin, [](const DecodedPlugin& each) -> std::string_view { return each.instance.name; });
  return found == plugins.end() ? nullptr : &*found;
}

Result<void> DecodeContext::check_references() const {
  for (const PluginReference& reference : references) {
    const DecodedPlugin* plugin = find(reference.plugin);
    const std::string shown = reference.plugin.substr(0, 64);
    if (plugin == nullptr) {
      std::vector<std::string_view> names;
      for (const DecodedPlugin& each : plugins) {
        if (each.node != nullptr) names.push_back(each.instance.name);
      }
      // A parser may be named by its type.
      for (const scheduling::PluginSpec* spec : all_plugins()) {
        if (reference.kinds == std::vector{scheduling::PluginKind::kParser} && spec->kind == reference.kinds.front())
          names.push_back(spec->type);
      }
      return decoder.fail_at(*reference.node,
                             fmt::format("{} \"{}\" names no configured plugin", reference.field, shown),
                             scheduling::nearest_name_hint(reference.plugin, names));
    }
    if (reference.kinds.empty() || std::ranges::find(reference.kinds, plugin->spec->kind) != reference.kinds.end())
      continue;
    return decoder.fail_at(*reference.node, fmt::format("{} \"{}\" is a {}; expected a {}", reference.field, shown,
                                                        scheduling::plugin_kind_name(plugin->spec->kind),
                                                        scheduling::plugin_kind_name(reference.kinds.front())));
  }
  return {};
}

}  // namespace llmd::config
