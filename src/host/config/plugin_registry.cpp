#include "config/plugin_registry.h"

#include <algorithm>
#include <tuple>

#include "config/declared_plugins.h"
#include "flow/policy_specs.h"

namespace llmd::config {

const std::vector<const scheduling::PluginSpec*>& all_plugins() {
  static const std::vector<const scheduling::PluginSpec*> all = [] {
    std::vector<const scheduling::PluginSpec*> specs;
    for (const scheduling::PluginSpec* spec : scheduling::plugin_specs()) specs.push_back(spec);
    for (const scheduling::PluginSpec& spec : flow::policy_specs()) specs.push_back(&spec);
    for (const scheduling::PluginSpec& spec : declared_plugins()) specs.push_back(&spec);
    std::ranges::sort(
        specs, [](const auto* a, const auto* b) { return std::tie(a->kind, a->type) < std::tie(b->kind, b->type); });
    return specs;
  }();
  return all;
}

const scheduling::PluginSpec* find_plugin(std::string_view type) {
  const auto found = std::ranges::find(all_plugins(), type, &scheduling::PluginSpec::type);
  return found == all_plugins().end() ? nullptr : *found;
}

}  // namespace llmd::config
