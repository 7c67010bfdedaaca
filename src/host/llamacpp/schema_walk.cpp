#include "llamacpp/schema_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "llamacpp/input_limits.h"
#include "llamacpp/schema_reference.h"
#include "llamacpp/schema_refusal.h"

namespace llmd::llamacpp {
namespace {

using Json = nlohmann::ordered_json;

class Walk {
 public:
  explicit Walk(const Json& root) : root_{root} {}

  Result<void> run() {
    LLMD_TRY(const std::size_t nodes, visit(root_));
    if (nodes > kSchemaNodesMax) {
      return refuse_schema(
          fmt::format("the schema, written out for each of its types, has more than {} parts", kSchemaNodesMax));
    }
    return {};
  }

 private:
  /// Parts of `node` once every list of types has been written out.
  Result<std::size_t> visit(const Json& node) {
    std::size_t parts = 1;
    for (const auto& [name, value] : node.items()) {
      if (node.is_object()) LLMD_TRY_VOID(check_member(name, value));
      if (value.is_structured()) {
        const std::size_t named = node.is_object() ? name.size() + 1 : 0;
        path_bytes_ += named;
        LLMD_TRY(const std::size_t inside, visit(value));
        path_bytes_ -= named;
        parts = std::min(parts + inside, kSchemaNodesMax + 1);
      }
    }
    if (!node.is_object()) return parts;
    LLMD_TRY_VOID(follow(node));
    LLMD_TRY_VOID(check_optional(node));
    const auto types = node.find("type");
    if (types == node.end() || !types->is_array()) return parts;
    if (types->size() > kTypesMax) return refuse_schema(fmt::format("a schema lists more than {} types", kTypesMax));
    return std::min(parts * std::max<std::size_t>(1, types->size()), kSchemaNodesMax + 1);
  }

  static Result<void> check_member(const std::string& name, const Json& value) {
    const bool long_reference =
        name == "$ref" && value.is_string() && value.get_ref<const std::string&>().size() > kSchemaNameMax;
    if (name.size() <= kSchemaNameMax && !long_reference) return {};
    return refuse_schema(fmt::format("a name in the schema is longer than {} bytes", kSchemaNameMax));
  }

  /// Each optional property gets a rule for each that may follow it, named after where it lies.
  Result<void> check_optional(const Json& node) {
    const auto properties = node.find("properties");
    if (properties == node.end() || !properties->is_object()) return {};
    const auto required = node.find("required");
    std::set<std::string_view> needed;
    if (required != node.end() && required->is_array()) {
      for (const Json& name : *required) {
        if (name.is_string()) needed.insert(name.get_ref<const std::string&>());
      }
    }
    std::size_t optional = 0;
    for (const auto& [name, property] : properties->items()) optional += needed.contains(name) ? 0 : 1;
    if (optional > kOptionalPropertiesMax) {
      return refuse_schema(
          fmt::format("an object of the schema has more than {} optional properties", kOptionalPropertiesMax));
    }
    rule_bytes_ += (properties->size() + optional * optional / 2) * (path_bytes_ + 32);
    if (rule_bytes_ <= kSchemaRuleBytesMax) return {};
    return refuse_schema("the schema's objects, with the names they nest in, are too large");
  }

  /// Along $ref, allOf, anyOf and oneOf: a schema that stands for itself has no meaning, and the converter never ends.
  Result<void> follow(const Json& schema) {
    const auto [entry, is_new] = on_path_.try_emplace(&schema, true);
    if (!is_new) {
      return entry->second
                 ? Result<void>{refuse_schema("a schema refers to itself without a property or an item between")}
                 : Result<void>{};
    }
    if (const auto reference = schema.find("$ref"); reference != schema.end()) {
      const auto target = resolve_reference(root_, *reference);  // a broken one counts only where it is used
      if (target && (*target)->is_object()) LLMD_TRY_VOID(follow(**target));
    }
    for (const char* name : {"allOf", "anyOf", "oneOf"}) {
      const auto parts = schema.find(name);
      if (parts == schema.end() || !parts->is_array()) continue;
      for (const Json& part : *parts) {
        if (part.is_object()) LLMD_TRY_VOID(follow(part));
      }
    }
    on_path_[&schema] = false;
    return {};
  }

  const Json& root_;
  std::size_t path_bytes_ = 0;                     // of the names that lead to the node
  std::size_t rule_bytes_ = 0;                     // of the names of rules
  std::unordered_map<const Json*, bool> on_path_;  // false: followed to its end
};

}  // namespace

Result<void> check_schema_walk(const Json& schema) {
  if (!schema.is_structured()) return {};
  return Walk{schema}.run();
}

}  // namespace llmd::llamacpp
