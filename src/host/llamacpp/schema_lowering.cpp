#include "llamacpp/schema_lowering.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "llamacpp/input_limits.h"
#include "llamacpp/schema_conjunction.h"
#include "llamacpp/schema_pattern.h"
#include "llamacpp/schema_reference.h"
#include "llamacpp/schema_refusal.h"
#include "llamacpp/schema_types.h"
#include "llamacpp/schema_walk.h"

namespace llmd::llamacpp {
namespace {

using Json = nlohmann::ordered_json;
using Lowered = Result<std::optional<Json>>;  // nothing: no value fits

constexpr std::array<std::string_view, 4> kCombining{"$ref", "allOf", "anyOf", "oneOf"};
constexpr std::array<std::string_view, 18> kNarrowing{
    "type",      "enum",        "const",    "properties",       "required", "additionalProperties",
    "items",     "prefixItems", "minimum",  "exclusiveMinimum", "maximum",  "exclusiveMaximum",
    "minLength", "maxLength",   "minItems", "maxItems",         "pattern",  "format"};
constexpr std::array<std::string_view, 2> kDefining{"$defs", "definitions"};

template <std::size_t N>
std::size_t count_of(const Json& schema, const std::array<std::string_view, N>& keys) {
  return static_cast<std::size_t>(
      std::count_if(keys.begin(), keys.end(), [&](std::string_view key) { return schema.contains(key); }));
}

template <std::size_t N>
void erase(Json& schema, const std::array<std::string_view, N>& keys) {
  for (const std::string_view key : keys) schema.erase(std::string{key});
}

/// What a copy of `node` costs.
std::size_t parts_of(const Json& node) {
  if (node.is_string()) return 1 + node.get_ref<const std::string&>().size() / 16;
  std::size_t parts = 1;
  if (node.is_object()) {
    for (const auto& [name, inside] : node.items()) parts += name.size() / 16 + parts_of(inside);
  } else if (node.is_array()) {
    for (const Json& inside : node) parts += parts_of(inside);
  }
  return parts;
}

/// Places of a schema's tuple: another schema's items are copied to each.
std::size_t places_of(const Json& schema) {
  for (const char* key : {"prefixItems", "items"}) {
    const auto items = schema.find(key);
    if (items != schema.end() && items->is_array()) return items->size();
  }
  return 0;
}

/// What the schemas of one request share.
class Request {
 public:
  /// A definition's name of letters and digits, unlike all others: the converter sees no more of it, and names the
  /// rules of its parts after it and a dash.
  std::string name(std::string_view wanted) {
    std::string name;
    for (const char c : wanted) {
      if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) name += c;
    }
    if (name.empty()) name = "part";
    std::string free = name;
    for (std::size_t i = 2; !taken_.insert(free).second; ++i) free = fmt::format("{}x{}", name, i);
    return free;
  }

  /// Error: too much is written.
  Result<void> charge(std::size_t parts, std::size_t written) {
    work_ += parts;
    written_ += written;
    if (work_ <= kSchemaWorkMax && written_ <= kSchemaWrittenMax) return {};
    return refuse_schema("the schema, with what it combines written out, is too large");
  }

 private:
  std::set<std::string> taken_;
  std::size_t work_ = 0;
  std::size_t written_ = 0;
};

class Lowering {
 public:
  Lowering(const Json& root, Request& request) : root_{root}, request_{request} {}

  Result<Json> run() {
    LLMD_TRY_VOID(check_schema_walk(root_));
    LLMD_TRY(Json out, definite(node(root_)));
    Json definitions = Json::object();
    while (!wanted_.empty()) {
      const Json* target = wanted_.back();
      wanted_.pop_back();
      LLMD_TRY(definitions[names_of_.at(target)], definite(node(*target)));
    }
    for (auto& [name, schema] : combined_) definitions[name] = std::move(schema);
    if (!definitions.empty()) out["$defs"] = std::move(definitions);
    LLMD_TRY_VOID(check_schema_walk(out));  // what was combined may be more than what was given
    return out;
  }

 private:
  /// One level deeper for as long as it lives.
  struct Deeper {
    explicit Deeper(std::size_t& depth) : depth_{++depth} {}
    ~Deeper() { --depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;
    std::size_t& depth_;
  };

  Result<Json> definite(Lowered lowered) const {
    if (!lowered) return std::unexpected(std::move(lowered).error());
    if (!*lowered) return refuse_schema(fmt::format("no value fits the schema: {}", why_));
    return **std::move(lowered);
  }

  Result<void> charge(std::size_t parts, std::size_t written = 0) {
    if (depth_ > kSchemaLoweringDepthMax) return refuse_schema("the schema, with what it refers to, nests too deep");
    return request_.charge(parts, written);
  }

  Lowered node(const Json& schema) {
    const Deeper deeper{depth_};
    LLMD_TRY_VOID(charge(1, 1));
    if (schema == true) return Json::object();
    if (!schema.is_object()) return refuse_schema("a schema must be an object");
    const std::size_t combining = count_of(schema, kCombining);
    if (combining == 0) return plain(schema);
    if (combining > 1 || count_of(schema, kNarrowing) > 0) return combined(schema);
    if (schema.contains("allOf")) return all_of(schema);
    return schema.contains("$ref") ? reference(schema) : choice(schema);
  }

  Lowered reference(Json schema) {
    LLMD_TRY(const Json* target, resolve_reference(root_, schema.at("$ref")));
    const auto [entry, is_new] = names_of_.try_emplace(target);
    if (is_new) {
      const auto& written = schema.at("$ref").get_ref<const std::string&>();
      entry->second = request_.name(std::string_view{written}.substr(written.rfind('/') + 1));
      wanted_.push_back(target);
    }
    erase(schema, kDefining);
    schema["$ref"] = "#/$defs/" + entry->second;
    return schema;
  }

  Lowered choice(Json schema) {
    const std::string key = schema.contains("anyOf") ? "anyOf" : "oneOf";
    LLMD_TRY_VOID(check_list(key, schema.at(key)));
    Json kept = Json::array();
    for (const Json& part : schema.at(key)) {
      LLMD_TRY(auto lowered, node(part));
      if (lowered) kept.push_back(*std::move(lowered));
    }
    erase(schema, kDefining);
    schema[key] = std::move(kept);
    if (schema.at(key).empty()) return std::nullopt;
    return schema;
  }

  static Result<void> check_list(const std::string& key, const Json& list) {
    if (!list.is_array()) return refuse_schema(fmt::format("{} must be an array of schemas", key));
    if (list.empty()) return refuse_schema(fmt::format("{} must not be empty", key));
    return {};
  }

  /// An allOf with nothing beside it but texts. Of one part, as pydantic writes a reference with a title, it is that
  /// part.
  Lowered all_of(const Json& schema) {
    const Json& parts = schema.at("allOf");
    if (!parts.is_array() || parts.size() != 1 || !parts.front().is_object()) return combined(schema);
    Json only = parts.front();
    for (const auto& [key, value] : schema.items()) {
      if (key != "allOf" && !only.contains(key)) only[key] = value;
    }
    return node(only);
  }

  /// A schema whose parts have to hold together. One that meets itself in its own properties becomes a definition.
  Lowered combined(const Json& schema) {
    LLMD_TRY_VOID(charge(parts_of(schema)));
    const std::string text = schema.dump();
    const auto [entry, is_new] = open_.try_emplace(text);
    if (!is_new) {
      if (entry->second.empty()) entry->second = request_.name("all");
      return Json{{"$ref", "#/$defs/" + entry->second}};
    }
    LLMD_TRY(const std::vector<Json> alternatives, expand(schema));
    Json kept = Json::array();
    std::set<std::string> seen;
    for (const Json& alternative : alternatives) {
      LLMD_TRY(auto lowered, plain(alternative));
      if (lowered && seen.insert(lowered->dump()).second) kept.push_back(*std::move(lowered));
    }
    const std::string name = std::move(open_.extract(text).mapped());
    if (kept.empty()) return std::nullopt;
    Json result = kept.size() == 1 ? Json(std::move(kept.front())) : Json{{"anyOf", std::move(kept)}};
    if (name.empty()) return result;
    combined_[name] = std::move(result);
    return Json{{"$ref", "#/$defs/" + name}};
  }

  /// The schema as alternatives without $ref, allOf, anyOf and oneOf; none: they contradict each other.
  Result<std::vector<Json>> expand(const Json& schema) {
    const Deeper deeper{depth_};
    if (schema == true) return std::vector<Json>{Json::object()};
    if (!schema.is_object()) return refuse_schema("a schema must be an object");
    LLMD_TRY_VOID(charge(parts_of(schema)));
    std::vector<Json> all{schema};
    erase(all.front(), kCombining);
    erase(all.front(), kDefining);
    write_exclusive_bounds_as_numbers(all.front());
    if (schema.contains("$ref")) {
      LLMD_TRY(const Json* target, resolve_reference(root_, schema.at("$ref")));
      LLMD_TRY(const std::vector<Json> parts, expand(*target));
      LLMD_TRY(all, cross(all, parts));
    }
    if (schema.contains("allOf")) {
      LLMD_TRY_VOID(check_list("allOf", schema.at("allOf")));
      for (const Json& child : schema.at("allOf")) {
        LLMD_TRY(const std::vector<Json> parts, expand(child));
        LLMD_TRY(all, cross(all, parts));
      }
    }
    for (const char* key : {"anyOf", "oneOf"}) {
      if (!schema.contains(key)) continue;
      LLMD_TRY_VOID(check_list(key, schema.at(key)));
      std::vector<Json> either;
      for (const Json& child : schema.at(key)) {
        LLMD_TRY(std::vector<Json> parts, expand(child));
        std::move(parts.begin(), parts.end(), std::back_inserter(either));
      }
      LLMD_TRY(all, cross(all, either));
    }
    return all;
  }

  Result<std::vector<Json>> cross(const std::vector<Json>& left, const std::vector<Json>& right) {
    std::vector<Json> all;
    for (const Json& a : left) {
      for (const Json& b : right) {
        LLMD_TRY_VOID(charge(parts_of(a) * (1 + places_of(b)) + parts_of(b) * (1 + places_of(a))));
        LLMD_TRY(auto merged, conjunction_of(a, b));
        if (merged) all.push_back(*std::move(merged));
        if (left.size() > 1 && right.size() > 1 && all.size() > kSchemaAlternativesMax)
          return refuse_schema(fmt::format("the schema combines to more than {} alternatives", kSchemaAlternativesMax));
      }
    }
    if (all.empty()) why_ = "its parts contradict each other";
    return all;
  }

  /// A schema without $ref, allOf, anyOf and oneOf.
  Lowered plain(Json schema) {
    erase(schema, kDefining);
    write_exclusive_bounds_as_numbers(schema);
    LLMD_TRY(SchemaTypes types, schema_types(schema));
    if (schema.contains("const") || schema.contains("enum")) return listed(std::move(schema), types);
    const bool typed = schema.contains("type");
    if (!typed) types = implied_types(schema);
    if (!typed && types == SchemaTypes::all()) return schema;
    SchemaTypes possible = types;
    for (const std::string_view name : SchemaTypes::kNames) {
      const SchemaTypes type = SchemaTypes::of(name);
      const bool said_by_number = name == "integer" && types.holds(SchemaTypes::of("number"));
      if (!types.holds(type) || said_by_number) continue;
      LLMD_TRY(const bool fits, narrow(schema, name));
      if (!fits) possible = possible.without(type);
    }
    if (possible.empty()) return std::nullopt;
    if (typed) schema["type"] = possible.to_json();
    return schema;
  }

  /// Without a type, the keywords decide, as in the converter.
  static SchemaTypes implied_types(const Json& schema) {
    const auto additional = schema.find("additionalProperties");
    if (schema.contains("properties") || schema.contains("required") ||
        (additional != schema.end() && *additional != true))
      return SchemaTypes::of("object");
    if (schema.contains("items") || schema.contains("prefixItems")) return SchemaTypes::of("array");
    if (schema.contains("pattern") || schema.contains("minLength") || schema.contains("maxLength"))
      return SchemaTypes::of("string");
    return SchemaTypes::all();
  }

  Lowered listed(Json schema, SchemaTypes types) {
    Json values = schema.contains("enum") ? schema.at("enum") : Json::array({schema.at("const")});
    if (!values.is_array() || values.empty()) return refuse_schema("enum must be a non-empty array");
    Json kept = Json::array();
    std::set<std::string> seen;
    for (const Json& value : values) {
      const bool is_const = !schema.contains("const") || value == schema.at("const");
      if (is_const && fits_bounds(value, types, schema) && seen.insert(value.dump()).second) kept.push_back(value);
    }
    if (kept.empty()) {
      why_ = "no listed value is of its type and within its bounds";
      return std::nullopt;
    }
    schema.erase("const");
    schema["enum"] = std::move(kept);
    if (schema.contains("type") && schema.at("type").is_array()) schema.erase("type");  // or it is written for each
    return schema;
  }

  /// Brings the keywords of one type in order. False: no value of it fits.
  Result<bool> narrow(Json& schema, std::string_view type) {
    if (type == "integer") return narrow_integer(schema);
    if (type == "string") return narrow_string(schema);
    if (type == "array") return narrow_array(schema);
    if (type == "object") return narrow_object(schema);
    return true;
  }

  Result<bool> narrow_integer(Json& schema) {
    LLMD_TRY(const bool fits, order_integer_bounds(schema));
    return fits || impossible("no integer lies between its bounds");
  }

  Result<bool> narrow_string(Json& schema) {
    LLMD_TRY(const bool fits, order_lengths(schema, "minLength", "maxLength"));
    if (!fits) return impossible("its minLength is above its maxLength");
    const auto pattern = schema.find("pattern");
    if (pattern != schema.end() && pattern->is_string()) {
      LLMD_TRY(*pattern, pattern_for_grammar(pattern->get<std::string>()));
    }
    return true;
  }

  Result<bool> narrow_array(Json& schema) {
    LLMD_TRY(const bool fits, order_lengths(schema, "minItems", "maxItems"));
    if (!fits) return impossible("its minItems is above its maxItems");
    if (schema.contains("prefixItems") && schema.at("prefixItems").is_array()) {
      const bool is_list =
          schema.at("prefixItems").empty() && schema.contains("items") && schema.at("items").is_object();
      schema.erase(is_list ? "prefixItems" : "items");
    }
    for (const char* key : {"items", "prefixItems"}) {
      const auto items = schema.find(key);
      if (items == schema.end()) continue;
      if (items->is_array()) return narrow_tuple(schema, *items);
      LLMD_TRY(auto lowered, node(*items));
      if (!lowered && schema.value("minItems", 0) > 0) return false;
      if (!lowered) schema.erase(key);
      schema[lowered ? key : "prefixItems"] = lowered ? *std::move(lowered) : Json::array();  // no items: the empty one
    }
    return true;
  }

  Result<bool> narrow_tuple(const Json& schema, Json& items) {
    if (schema.value("minItems", std::size_t{0}) > items.size())
      return impossible("its minItems is above the number of its prefixItems");
    const std::size_t most = schema.value("maxItems", items.size());
    while (items.size() > most) items.erase(items.size() - 1);
    for (Json& item : items) {
      LLMD_TRY(auto lowered, node(item));
      if (!lowered) return false;
      item = *std::move(lowered);
    }
    return true;
  }

  Result<bool> narrow_object(Json& schema) {
    LLMD_TRY(const bool known, require_known_properties(schema));
    if (!known) return false;
    const auto additional = schema.find("additionalProperties");
    if (additional != schema.end() && additional->is_object()) {
      LLMD_TRY(auto lowered, node(*additional));
      *additional = lowered ? *std::move(lowered) : Json(false);
    }
    const auto properties = schema.find("properties");
    if (properties == schema.end() || !properties->is_object()) return true;
    const bool open = additional != schema.end() && *additional != false;
    Json kept = Json::object();
    for (const auto& [name, property] : properties->items()) {
      const std::string written = Json(name).dump();
      if (name == "*" || (open && written.size() != name.size() + 2)) {
        return refuse_schema(
            fmt::format("property {} is not supported: the name is *, or one with characters that JSON escapes, beside "
                        "additionalProperties",
                        written));
      }
      LLMD_TRY(auto lowered, node(property));
      if (lowered) kept[name] = *std::move(lowered);
      if (!lowered && requires_property(schema, name)) return false;
      if (!lowered && open)
        return refuse_schema(fmt::format("no value fits property {}, and additionalProperties takes any", written));
    }
    schema["properties"] = std::move(kept);
    return true;
  }

  static bool requires_property(const Json& schema, const std::string& name) {
    const auto names = schema.find("required");
    return names != schema.end() && names->is_array() && std::find(names->begin(), names->end(), name) != names->end();
  }

  /// A property may be required and nowhere described: its value is what additionalProperties says, or anything. False:
  /// it says that there is none.
  Result<bool> require_known_properties(Json& schema) {
    const auto names = schema.find("required");
    if (names == schema.end() || !names->is_array()) return true;
    const bool closed = schema.contains("properties");
    Json properties = closed ? schema.at("properties") : Json::object();
    if (!properties.is_object()) return true;
    const Json additional = schema.value("additionalProperties", Json(true));
    const std::size_t parts = parts_of(additional);
    for (const Json& name : *names) {
      if (!name.is_string() || properties.contains(name.get_ref<const std::string&>())) continue;
      LLMD_TRY_VOID(charge(parts));
      if (additional == false)
        return impossible(fmt::format("property {} is required, but not among the properties", name.dump()));
      properties[name.get_ref<const std::string&>()] = additional == true ? Json::object() : additional;
    }
    if (properties.empty()) return true;
    schema["properties"] = std::move(properties);
    if (!closed) schema.emplace("additionalProperties", true);
    return true;
  }

  bool impossible(std::string why) {
    why_ = std::move(why);
    return false;
  }

  const Json& root_;
  Request& request_;
  std::unordered_map<const Json*, std::string> names_of_;  // of what a $ref points to
  std::vector<const Json*> wanted_;                        // of these, not yet written
  std::unordered_map<std::string, std::string> open_;      // schemas being combined, and their names if they need one
  std::map<std::string, Json> combined_;                   // the named ones
  std::string why_;                                        // the last one had no value
  std::size_t depth_ = 0;
};

Result<Json> parse(const std::string& json) {
  LLMD_TRY_VOID(check_schema_size(json));
  Json parsed = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return refuse_schema("the schema is no JSON");
  return parsed;
}

}  // namespace

Result<std::string> lower_schema(const std::string& json_schema) {
  LLMD_TRY(const Json schema, parse(json_schema));
  Request request;
  LLMD_TRY(const Json lowered, Lowering{schema, request}.run());
  return lowered.dump();
}

Result<std::string> lower_tools(const std::string& tools_json) {
  LLMD_TRY(Json tools, parse(tools_json));
  Request request;
  if (!tools.is_array()) return tools_json;
  for (Json& tool : tools) {
    const auto function = tool.is_object() ? tool.find("function") : tool.end();
    if (!tool.is_object() || function == tool.end() || !function->is_object()) continue;
    const auto parameters = function->find("parameters");
    if (parameters == function->end() || !parameters->is_object()) continue;
    const Json given = std::move(*parameters);
    LLMD_TRY(*parameters, Lowering{given, request}.run());
  }
  return tools.dump();
}

}  // namespace llmd::llamacpp
