#include "config/request_plugins.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace llmd::config {
namespace {

/// Down the objects of a path with dots; the deepest that is there.
const YamlNode& at_path(const YamlNode& node, std::string_view path) {
  const YamlNode* found = &node;
  while (!path.empty() && found->kind == YamlNode::Kind::kMap) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    const auto key = std::ranges::find(found->keys, path.substr(0, dot), &YamlNode::text);
    if (key == found->keys.end()) break;
    found = &found->items[static_cast<std::size_t>(key - found->keys.begin())];
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return *found;
}

Result<void> add_reporters(const DecodedPlugin& plugin, DecodeContext& context, RequestPluginsConfig& plugins) {
  const std::string_view type = plugin.spec->type;
  const scheduling::ParameterReader parameters{plugin.spec->parameters, plugin.instance.parameters};
  const auto attributes = parameters.objects("attributes");
  if (attributes.empty()) {
    return context.decoder.fail_at(*plugin.node, fmt::format("{}: there are no attributes", type),
                                   "parameters: {attributes: [{key: {name: cost}, expression: usage.total_tokens}]}");
  }
  const YamlNode& list = at_path(*plugin.node, "parameters.attributes");
  for (std::size_t i = 0; i < attributes.size(); ++i) {
    const YamlNode& node = i < list.items.size() ? list.items[i] : *plugin.node;
    auto reporter = reporting::AttributeReporter::make({.name_space = attributes[i].text("key.namespace"),
                                                        .name = attributes[i].text("key.name"),
                                                        .expression = attributes[i].text("expression"),
                                                        .condition = attributes[i].text("condition")});
    if (!reporter) {
      Error& error = reporter.error();
      return context.decoder.fail_at(at_path(node, error.param),
                                     fmt::format("{}: attributes[{}].{}: {}", type, i, error.param, error.what),
                                     std::move(error.hint));
    }
    for (const std::string& field : reporter->unknown_fields()) {
      context.warnings.push_back(
          context.at(at_path(node, "expression"),
                     fmt::format("{}: attributes[{}] reads {}, which no request has", type, i, field.substr(0, 64))));
    }
    plugins.reporters.push_back(*std::move(reporter));
  }
  return {};
}

}  // namespace

Result<void> decode_request_plugins(DecodeContext& context, RequestPluginsConfig& plugins) {
  for (const DecodedPlugin& plugin : context.plugins) {
    if (plugin.node == nullptr) continue;
    if (plugin.spec->type == "request-attribute-reporter") {
      LLMD_TRY_VOID(add_reporters(plugin, context, plugins));
    }
    if (plugin.spec->type == "destination-endpoint-served-verifier") plugins.shows_served_endpoint = true;
  }
  return {};
}

}  // namespace llmd::config
