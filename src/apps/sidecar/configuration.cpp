#include "apps/sidecar/configuration.h"

#include <fmt/format.h>

#include "config/yaml_tree.h"

namespace llmd::sidecar {
namespace {

using config::YamlNode;

Result<std::string> value_of(const YamlNode& node, std::string_view source, std::string_view key) {
  if (node.kind == YamlNode::Kind::kScalar) return node.text;
  std::string text;
  bool fits = node.kind == YamlNode::Kind::kSequence;
  for (const YamlNode& item : node.items) {
    fits = fits && item.kind == YamlNode::Kind::kScalar;
    if (!text.empty()) text += ',';
    text += item.text;
  }
  if (!fits)
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("{}:{}: {} is neither a value nor a list of values", source, node.line, key));
  return text;
}

}  // namespace

Result<std::vector<ConfiguredFlag>> read_configuration(std::string_view yaml, std::string_view source) {
  LLMD_TRY(const YamlNode root, config::parse_yaml(yaml, source));
  std::vector<ConfiguredFlag> found;
  if (root.kind == YamlNode::Kind::kNull) return found;
  if (root.kind != YamlNode::Kind::kMap)
    return fail(ErrorCode::kConfigInvalid, fmt::format("{}: expected a map of flags without their dashes", source));
  for (std::size_t i = 0; i < root.keys.size(); ++i) {
    const std::string& key = root.keys[i].text;
    if (root.items[i].kind == YamlNode::Kind::kNull) continue;
    LLMD_TRY(const std::string value, value_of(root.items[i], source, key));
    if (key.starts_with("configuration"))
      return fail(ErrorCode::kConfigInvalid, fmt::format("{}: a configuration cannot name another", source));
    found.push_back({.name = key, .argument = fmt::format("--{}={}", key, value)});
  }
  return found;
}

}  // namespace llmd::sidecar
